/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The model behind the simulated RAPL counters, pure: CPU time in, energy out. No I/O, no clock, no
 * globals; the simulator and its unit test both include it. `rapl-sim --help` says the same in words.
 *
 * Power is kept in whole nanowatts and time in whole nanoseconds, so energy is in whole attojoules
 * (1 nW * 1 ns = 1e-18 J) and, being linear in the two times, is computed from their totals: nothing is
 * rounded on the way, however small the steps. Only the figure shown is rounded, down to a microjoule.
 */
#ifndef DEEPMON_SIM_MODEL_H
#define DEEPMON_SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_SOCKETS_MAX 32
#define SIM_AJ_PER_UJ	1000000000000ULL

enum sim_domain {
	SIM_PACKAGE,
	SIM_CORE,
	SIM_UNCORE,
	SIM_DRAM,
	SIM_PSYS, /* the whole host; the four before it are there once for each socket */
	SIM_DOMAIN_COUNT,
};

typedef unsigned __int128 sim_aj;

struct sim_power {
	uint64_t idle_nw; /* drawn all the time */
	uint64_t busy_nw; /* drawn on top of it by each busy CPU */
};

struct sim_model {
	unsigned int sockets;
	struct sim_power power[SIM_DOMAIN_COUNT]; /* of one socket; SIM_PSYS: of the host */
};

/* A stretch of time: one step, or all of them. */
struct sim_span {
	uint64_t elapsed_ns;
	uint64_t busy_ns[SIM_SOCKETS_MAX]; /* summed over the CPUs of the socket */
};

struct sim_watts {
	double idle, busy, dram_idle, dram_busy;
};

/* What a cgroup's counters said last. */
struct sim_reading {
	uint64_t id; /* of the directory: another one under the same path counts from zero. 0: not there */
	uint64_t ns[SIM_SOCKETS_MAX];
};

/* What one cgroup has used. */
struct sim_account {
	uint64_t cpu_ns;
	uint64_t unsplit_ns;		      /* used on a socket not known yet */
	uint64_t pending_ns[SIM_SOCKETS_MAX]; /* used, and not charged yet */
	uint64_t charged_ns[SIM_SOCKETS_MAX]; /* used and charged */
	sim_aj proportional_aj[SIM_DOMAIN_COUNT];
};

static inline uint64_t sim_nanowatts(double watts)
{
	return (uint64_t)(watts * 1e9 + 0.5);
}

static inline void sim_model_set(struct sim_model *model, unsigned int sockets, const struct sim_watts *watts)
{
	struct sim_power package = {sim_nanowatts(watts->idle), sim_nanowatts(watts->busy)};
	struct sim_power dram = {sim_nanowatts(watts->dram_idle), sim_nanowatts(watts->dram_busy)};

	model->sockets = sockets;
	model->power[SIM_PACKAGE] = package;
	model->power[SIM_DRAM] = dram;
	/* core + uncore stay below package, as on real processors. */
	model->power[SIM_CORE] = (struct sim_power){0, package.busy_nw * 8 / 10};
	model->power[SIM_UNCORE] = (struct sim_power){package.idle_nw / 10, 0};
	/* A power supply that loses a fifth of what goes in, and 2 W of fans and discs. */
	model->power[SIM_PSYS] = (struct sim_power){
	    (package.idle_nw + dram.idle_nw) * sockets * 5 / 4 + 2000000000ULL,
	    (package.busy_nw + dram.busy_nw) * 5 / 4,
	};
}

static inline uint64_t sim_sum(const uint64_t *ns, unsigned int sockets)
{
	uint64_t sum = 0;

	for (unsigned int s = 0; s < sockets; s++)
		sum += ns[s];
	return sum;
}

/* Busy time that the domain's counter of this socket sees. */
static inline uint64_t sim_busy_ns(const struct sim_model *model, const struct sim_span *span,
				   enum sim_domain domain, unsigned int socket)
{
	return domain == SIM_PSYS ? sim_sum(span->busy_ns, model->sockets) : span->busy_ns[socket];
}

/* Energy of one counter over the span. `socket` means nothing for SIM_PSYS. */
static inline sim_aj sim_energy(const struct sim_model *model, const struct sim_span *span,
				enum sim_domain domain, unsigned int socket)
{
	const struct sim_power *power = &model->power[domain];

	return (sim_aj)power->idle_nw * span->elapsed_ns +
	       (sim_aj)power->busy_nw * sim_busy_ns(model, span, domain, socket);
}

/* The part of a domain's energy, over all sockets, that no CPU time caused. */
static inline sim_aj sim_idle_energy(const struct sim_model *model, const struct sim_span *span,
				     enum sim_domain domain)
{
	unsigned int counters = domain == SIM_PSYS ? 1 : model->sockets;

	return (sim_aj)model->power[domain].idle_nw * span->elapsed_ns * counters;
}

static inline uint64_t sim_uj(sim_aj energy)
{
	return (uint64_t)(energy / SIM_AJ_PER_UJ);
}

/*
 * What energy_uj shows. The modulus is range_uj itself: from range_uj - 1 it goes on at 0, so that
 * range_uj - old + new, which readers of powercap compute, is the energy used to the microjoule. (Real
 * counters have 32 bits of some unit and max_energy_range_uj is 2^32 - 1 units: there the same sum is one
 * unit, such as 61 uJ, short at each wrap.) range_uj 0: it never wraps.
 */
static inline uint64_t sim_counter_uj(uint64_t start_uj, sim_aj energy, uint64_t range_uj)
{
	sim_aj counted = start_uj + energy / SIM_AJ_PER_UJ;

	return (uint64_t)(range_uj ? counted % range_uj : counted);
}

/* floor(energy * part / whole), without the product, which could pass 128 bits. */
static inline sim_aj sim_share(sim_aj energy, uint64_t part, uint64_t whole)
{
	return energy / whole * part + energy % whole * part / whole;
}

/* Adds a step to a total. */
static inline void sim_span_add(struct sim_span *total, const struct sim_span *step, unsigned int sockets)
{
	total->elapsed_ns += step->elapsed_ns;
	for (unsigned int s = 0; s < sockets; s++)
		total->busy_ns[s] += step->busy_ns[s];
}

/*
 * Takes in what a cgroup's counters say now; delta_ns gets what it used since the last reading. A
 * directory that was not there before, or is another one now, has used all that it says.
 */
static inline void sim_reading_advance(struct sim_reading *last, uint64_t id, const uint64_t *now_ns,
				       unsigned int sockets, uint64_t *delta_ns)
{
	for (unsigned int s = 0; s < sockets; s++) {
		uint64_t before_ns = last->id == id ? last->ns[s] : 0;

		delta_ns[s] = now_ns[s] > before_ns ? now_ns[s] - before_ns : 0;
		last->ns[s] = before_ns + delta_ns[s];
	}
	last->id = id;
}

/* CPU time known by socket. */
static inline void sim_account_use(struct sim_account *account, const uint64_t *delta_ns,
				   unsigned int sockets)
{
	for (unsigned int s = 0; s < sockets; s++) {
		account->cpu_ns += delta_ns[s];
		account->pending_ns[s] += delta_ns[s];
	}
}

/* CPU time known only as a whole. */
static inline void sim_account_use_unsplit(struct sim_account *account, uint64_t delta_ns)
{
	account->cpu_ns += delta_ns;
	account->unsplit_ns += delta_ns;
}

/* Deals unsplit time out over the sockets as the step's busy time lies on them; all of it, exactly. */
static inline void sim_account_spread(struct sim_account *account, const struct sim_span *step,
				      unsigned int sockets)
{
	uint64_t total_ns = sim_sum(step->busy_ns, sockets);
	uint64_t up_to_ns = 0;
	uint64_t dealt_ns = 0;

	if (!total_ns)
		return;
	for (unsigned int s = 0; s < sockets; s++) {
		up_to_ns += step->busy_ns[s];

		uint64_t due_ns = (uint64_t)sim_share(account->unsplit_ns, up_to_ns, total_ns);

		account->pending_ns[s] += due_ns - dealt_ns;
		dealt_ns = due_ns;
	}
	account->unsplit_ns = 0;
}

/*
 * Charges a cgroup its share of one step. Its counters and the host's are read some microseconds apart,
 * so it can seem to have used more than everybody: the excess waits for the next step.
 */
static inline void sim_account_charge(const struct sim_model *model, const struct sim_span *step,
				      struct sim_account *account)
{
	uint64_t host_ns = sim_sum(step->busy_ns, model->sockets);
	uint64_t charged_ns = 0;

	sim_account_spread(account, step, model->sockets);
	for (unsigned int s = 0; s < model->sockets; s++) {
		uint64_t busy_ns = step->busy_ns[s];
		uint64_t ns = account->pending_ns[s] < busy_ns ? account->pending_ns[s] : busy_ns;

		if (!ns)
			continue;
		account->pending_ns[s] -= ns;
		account->charged_ns[s] += ns;
		charged_ns += ns;
		for (enum sim_domain d = SIM_PACKAGE; d < SIM_PSYS; d++)
			account->proportional_aj[d] += sim_share(sim_energy(model, step, d, s), ns, busy_ns);
	}
	if (charged_ns)
		account->proportional_aj[SIM_PSYS] +=
		    sim_share(sim_energy(model, step, SIM_PSYS, 0), charged_ns, host_ns);
}

/* The cgroup's share of the busy part alone. */
static inline sim_aj sim_account_dynamic(const struct sim_model *model, const struct sim_account *account,
					 enum sim_domain domain)
{
	return (sim_aj)model->power[domain].busy_nw * sim_sum(account->charged_ns, model->sockets);
}

#endif
