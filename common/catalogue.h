/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The two catalogues: every metric and every option of deepmon, each one row. The structs of a sample,
 * the names on both agent paths, collectd's types.db and the tables in README.md come from these rows.
 * Included by deepmon.h, which explains the words used here; nothing else includes it.
 */
#ifndef DEEPMON_CATALOGUE_H
#define DEEPMON_CATALOGUE_H

/*
 * What a sample's records are about.
 * X(constant, name: Telegraf's measurement is deepmon_<name>, help, labels, the label that is its instance)
 */
#define DEEPMON_ENTITIES(X) \
	X(CONTAINER, container, "a container, with all cgroups nested in it", \
	  "compose_project, compose_service, container_id, container_image, container_name, " \
	  "container_version, namespace, node, owner_kind, owner_name, pod_name, runtime, " \
	  "service_name", \
	  "container_name") \
	X(SYSTEM, system, "a systemd unit or another cgroup that belongs to no container", "cgroup", \
	  "cgroup") \
	X(PROCESS, process, \
	  "the processes of one name in a container, those that used most; and (other), all its other " \
	  "use (Processes)", \
	  "container_name, namespace, pod_name, process", "container_name") \
	X(FILE, file, \
	  "a file on which most was read and written on the host since the last report, in the container " \
	  "or unit " \
	  "that did it; and (other), what was read and written elsewhere (TopFiles)", \
	  "cgroup, container_name, file, namespace, pod_name", "container_name") \
	X(CONTAINER_FILE, container_file, \
	  "the same of each container; and (other), what it read and wrote elsewhere (ContainerFiles)", \
	  "container_name, file, namespace, pod_name", "container_name") \
	X(PEER, peer, \
	  "whom a container talks with: those endpoints that had most of its bytes; and (other), all " \
	  "its other traffic (Peers)", \
	  "container_name, namespace, peer, pod_name, protocol, role", "container_name") \
	X(HTTP_PATH, http_path, \
	  "the HTTP of a container as client and as server by method and path: those that had most " \
	  "transactions; and (other), all its other HTTP (HTTPPaths)", \
	  "container_name, method, namespace, path, pod_name, role", "container_name") \
	X(TOTAL, total, "everything of one kind, ended ones included: the parts of the whole", "kind", \
	  "kind") \
	X(ZONE, zone, "one energy counter of the hardware", "domain, socket, source, zone", "zone") \
	X(HOST, host, "the host as a whole", "", "") \
	X(SELF, self, "deepmon itself", "", "")

/*
 * What is told of which entity: each row is a measurement of Telegraf's.
 * X(entity, subject, labels that it has beside its entity's, its qualifier: labels joined by '-')
 */
#define DEEPMON_MEASUREMENTS(X) \
	X(CONTAINER, CPU, "", "") \
	X(CONTAINER, PERF, "", "") \
	X(CONTAINER, ENERGY, "domain, source", "domain-source") \
	X(CONTAINER, NETWORK, "", "") \
	X(CONTAINER, TRANSACTIONS, "protocol, role", "protocol-role") \
	X(CONTAINER, MEMORY, "", "") \
	X(CONTAINER, BLOCK, "device", "device") \
	X(CONTAINER, FILE_IO, "", "") \
	X(CONTAINER, FILE_LATENCY, "latency", "latency") \
	X(CONTAINER, BUCKETS, "gt, latency, le", "latency-gt-le") \
	X(SYSTEM, CPU, "", "") \
	X(SYSTEM, PERF, "", "") \
	X(SYSTEM, ENERGY, "domain, source", "domain-source") \
	X(SYSTEM, NETWORK, "", "") \
	X(SYSTEM, TRANSACTIONS, "protocol, role", "protocol-role") \
	X(SYSTEM, MEMORY, "", "") \
	X(SYSTEM, BLOCK, "device", "device") \
	X(SYSTEM, FILE_IO, "", "") \
	X(SYSTEM, FILE_LATENCY, "latency", "latency") \
	X(SYSTEM, BUCKETS, "gt, latency, le", "latency-gt-le") \
	X(PROCESS, CPU, "", "process") \
	X(PROCESS, PERF, "", "process") \
	X(PROCESS, ENERGY, "domain, source", "process-domain-source") \
	X(FILE, FILE_USE, "", "file") \
	X(CONTAINER_FILE, FILE_USE, "", "file") \
	X(PEER, TRAFFIC, "", "protocol-role-peer") \
	X(HTTP_PATH, TRANSACTIONS, "", "role-method-path") \
	X(TOTAL, CPU, "", "") \
	X(TOTAL, PERF, "", "") \
	X(TOTAL, ENERGY, "domain, source", "domain-source") \
	X(TOTAL, NETWORK, "", "") \
	X(TOTAL, TRANSACTIONS, "protocol, role", "protocol-role") \
	X(TOTAL, FILE_IO, "", "") \
	X(TOTAL, FILE_LATENCY, "latency", "latency") \
	X(TOTAL, BUCKETS, "gt, latency, le", "latency-gt-le") \
	X(TOTAL, CHURN, "", "") \
	X(HOST, ENERGY, "domain, source", "domain-source") \
	X(ZONE, COUNTER, "", "source") \
	X(ZONE, ENERGY, "", "source") \
	X(SELF, SELF_COST, "", "")

/*
 * The labels, sorted. One without a value is left out of its record.
 * X(key, TAG, or FIELD: a string field in Telegraf and not told to collectd, help)
 */
#define DEEPMON_LABEL_ROWS(X) \
	X(cgroup, TAG, \
	  "The unit's name; of a cgroup that is no unit, its path; (other) for those past MaxUnits") \
	X(compose_project, TAG, "The project of Docker Compose") \
	X(compose_service, TAG, "The service within it") \
	X(container_id, FIELD, \
	  "The runtime's id; a tag would make a series of each container that ever ran") \
	X(container_image, TAG, "The image's name, without its tag") \
	X(container_name, TAG, \
	  "The container's name, in a pod that within the pod; until its runtime tells it, the first 12 " \
	  "digits of its id; (other) for those not told one by one") \
	X(container_version, TAG, "The image's tag") \
	X(device, TAG, \
	  "The block device's name in the kernel: vda, nvme0n1, dm-0; (other) for those past BlockDevices") \
	X(domain, TAG, "What the energy is of: package, core, uncore, dram; of the host: psys, platform") \
	X(experiment, TAG, "The option Experiment, on every line if it gives one") \
	X(file, TAG, \
	  "The file's path as its container sees it; longer than FilePathMax: ... and its end; (deleted) " \
	  "behind it: its " \
	  "name is gone; (other): all others") \
	X(gt, TAG, "The bucket's lower bound in s; it contains that") \
	X(kind, TAG, \
	  "Which part of the whole: container, system, kernel, idle, other (past MaxCgroups), " \
	  "unattributed (nothing is known of who used it)") \
	X(latency, TAG, \
	  "What took so long: tcp_client, tcp_server, http_client, http_server, file_read, file_write, " \
	  "file_sync") \
	X(le, TAG, "The bucket's upper bound in s, which is in the next; +Inf: it has none") \
	X(method, TAG, "The request's method, in capitals; other: one that neither RFC 9110 nor 5789 has") \
	X(namespace, TAG, "The namespace of Kubernetes") \
	X(node, TAG, "Kubernetes' name of the host (NodeName, Kubelet)") \
	X(owner_kind, TAG, \
	  "What made the pod: Deployment, DaemonSet, StatefulSet, Job, CronJob or another, by Kubelet; " \
	  "without it as far as the pod's name tells") \
	X(owner_name, TAG, "Its name") \
	X(path, TAG, \
	  "The request's path, without query: of ids :id stands in it (HTTPPathIds), behind one longer " \
	  "than " \
	  "HTTPPathMax ...; of CONNECT the host and port; what is no UTF-8 as %XX; (other) for what is " \
	  "told " \
	  "of none") \
	X(peer, TAG, \
	  "Who is at the other end: a server's address and port, a client's address; (other) for what is " \
	  "told of none") \
	X(pod_name, TAG, "The pod's name") \
	X(process, TAG, "The name of the process's first thread; (other) for what is told of none") \
	X(protocol, TAG, \
	  "tcp: any exchange over TCP; http: those of them that are HTTP/1.x; of peers tcp, udp") \
	X(role, TAG, "Which end it is itself: client, server; of transactions, both: the two together") \
	X(runtime, TAG, "Who made the container: docker, containerd, cri-o, podman, lxc and so on") \
	X(service_name, TAG, \
	  "The services of Kubernetes that send to the pod, in order, parted by commas (KubernetesAPI)") \
	X(socket, TAG, "The processor package's number; a counter of the whole platform has none") \
	X(source, TAG, \
	  "How the energy was read: powercap, perf, msr, hwmon; simulated, where a test stands in") \
	X(zone, TAG, "The counter's name: package-0, package-0-dram")

/*
 * What a record tells of its entity: a struct deepmon_<name>, whose members are the rows below.
 * X(constant, name, suffix of Telegraf's measurement)
 */
#define DEEPMON_SUBJECTS(X) \
	X(CPU, cpu, "") \
	X(ENERGY, energy, "_energy") \
	X(PERF, perf, "_perf") \
	X(NETWORK, network, "_network") \
	X(TRANSACTIONS, transactions, "_transactions") \
	X(TRAFFIC, traffic, "") \
	X(MEMORY, memory, "_memory") \
	X(BLOCK, block, "_block") \
	X(FILE_IO, file_io, "_file_io") \
	X(FILE_LATENCY, file_latency, "_file_latency") \
	X(FILE_USE, file_use, "") \
	X(BUCKETS, buckets, "_buckets") \
	X(COUNTER, counter, "") \
	X(CHURN, churn, "_churn") \
	X(SELF_COST, self_cost, "")

/*
 * The metrics of each subject.
 * X(subject, field: its name in a sample and in Telegraf, type, kind, unit,
 *   collectd type, collectd type instance, help)
 * A collectd type that collectd's own types.db lacks begins with deepmon_.
 */
#define DEEPMON_CPU_METRICS(X) \
	X(CPU, cpu_time_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "", \
	  "CPU time used; for the idle total, CPU time unused") \
	X(CPU, cpu_usage_percent, F64, GAUGE, "percent", "deepmon_cpu_percent", "", \
	  "CPU time used per wall time since the last report; 100 is one CPU") \
	X(CPU, smt_overlap_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "smt_overlap", \
	  "CPU time during which another hardware thread of the same core was busy too") \
	X(CPU, energy_weight, U64, COUNTER, "", "deepmon_weight", "", \
	  "What energy is shared by: cycles, or ns of CPU time where cycles are not counted; what fell " \
	  "into " \
	  "smt_overlap_ns counts by SmtOverlapRatio") \
	X(CPU, context_switches, U64, COUNTER, "", "contextswitch", "", \
	  "Times that one of its tasks left a CPU to another; those of all totals are the host's")

#define DEEPMON_PERF_METRICS(X) \
	X(PERF, cycles, U64, COUNTER, "", "perf", "cycles", "CPU cycles (CyclesEvent)") \
	X(PERF, instructions, U64, COUNTER, "", "perf", "instructions", "Instructions (InstructionsEvent)") \
	X(PERF, cache_references, U64, COUNTER, "", "perf", "cache_references", \
	  "Accesses to the last cache (CacheReferencesEvent)") \
	X(PERF, cache_misses, U64, COUNTER, "", "perf", "cache_misses", \
	  "Accesses that missed it (CacheMissesEvent)") \
	X(PERF, instructions_per_cycle, F64, GAUGE, "", "gauge", "instructions_per_cycle", \
	  "Instructions per cycle since the last report") \
	X(PERF, cache_miss_percent, F64, GAUGE, "percent", "percent", "cache_miss", \
	  "Cache misses per cache reference since the last report") \
	X(PERF, frequency_hertz, F64, GAUGE, "Hz", "frequency", "", \
	  "Effective frequency since the last report: cycles per CPU time")

#define DEEPMON_ENERGY_METRICS(X) \
	X(ENERGY, energy_joules, MICRO, COUNTER, "J", "energy", "", \
	  "Energy used since deepmon began to measure") \
	X(ENERGY, power_watts, F64, GAUGE, "W", "power", "", "Average power since the last report")

#define DEEPMON_NETWORK_METRICS(X) \
	X(NETWORK, tcp_sent_bytes, U64, COUNTER, "B", "total_bytes", "tcp_sent", "Bytes sent over TCP") \
	X(NETWORK, tcp_received_bytes, U64, COUNTER, "B", "total_bytes", "tcp_received", \
	  "Bytes received over TCP") \
	X(NETWORK, tcp_sent_messages, U64, COUNTER, "", "total_operations", "tcp_sent", \
	  "Calls that sent something over TCP") \
	X(NETWORK, tcp_received_messages, U64, COUNTER, "", "total_operations", "tcp_received", \
	  "Calls that received something over TCP") \
	X(NETWORK, udp_sent_bytes, U64, COUNTER, "B", "total_bytes", "udp_sent", "Bytes sent over UDP") \
	X(NETWORK, udp_received_bytes, U64, COUNTER, "B", "total_bytes", "udp_received", \
	  "Bytes received over UDP") \
	X(NETWORK, udp_sent_messages, U64, COUNTER, "", "total_operations", "udp_sent", \
	  "Messages sent over UDP") \
	X(NETWORK, udp_received_messages, U64, COUNTER, "", "total_operations", "udp_received", \
	  "Messages received over UDP") \
	X(NETWORK, tcp_opened_active, U64, COUNTER, "", "total_connections", "opened_active", \
	  "TCP connections that it asked for and got") \
	X(NETWORK, tcp_opened_passive, U64, COUNTER, "", "total_connections", "opened_passive", \
	  "TCP connections that it was asked for") \
	X(NETWORK, tcp_failed, U64, COUNTER, "", "total_connections", "failed", \
	  "TCP connections that it asked for and did not get: refused, unreachable, timed out") \
	X(NETWORK, tcp_closed, U64, COUNTER, "", "total_connections", "closed", \
	  "TCP connections, of those opened, that have ended") \
	X(NETWORK, tcp_resets_sent, U64, COUNTER, "", "total_events", "tcp_resets_sent", "TCP resets sent") \
	X(NETWORK, tcp_resets_received, U64, COUNTER, "", "total_events", "tcp_resets_received", \
	  "TCP resets received") \
	X(NETWORK, tcp_retransmits, U64, COUNTER, "", "total_events", "tcp_retransmits", \
	  "TCP segments sent again") \
	X(NETWORK, tcp_rtt_seconds, F64, GAUGE, "s", "latency", "tcp_rtt", \
	  "Mean of TCP's smoothed round-trip time, read at each message received since the last report")

/*
 * What is told of latencies, whatever took them: these rows stand together in a subject's metrics. Quantiles
 * are of every one since the last report, each within 1/128; common/latencies.c has their order.
 */
#define DEEPMON_QUANTILE_ROW(X, SUBJECT, digits, percent) \
	X(SUBJECT, latency_p##digits##_seconds, F64, GAUGE, "s", "latency", "p" #digits, \
	  "Percentile " percent " of the latency since the last report")
#define DEEPMON_LATENCY_METRICS(X, SUBJECT) \
	X(SUBJECT, latency_mean_seconds, F64, GAUGE, "s", "latency", "mean", \
	  "Mean of the latency since the last report") \
	DEEPMON_QUANTILE_ROW(X, SUBJECT, 50, "50") \
	DEEPMON_QUANTILE_ROW(X, SUBJECT, 75, "75") \
	DEEPMON_QUANTILE_ROW(X, SUBJECT, 90, "90") \
	DEEPMON_QUANTILE_ROW(X, SUBJECT, 99, "99") \
	DEEPMON_QUANTILE_ROW(X, SUBJECT, 99_9, "99.9") \
	DEEPMON_QUANTILE_ROW(X, SUBJECT, 99_99, "99.99") \
	DEEPMON_QUANTILE_ROW(X, SUBJECT, 99_999, "99.999")

#define DEEPMON_TRANSACTIONS_METRICS(X) \
	X(TRANSACTIONS, transactions, U64, COUNTER, "", "total_requests", "", \
	  "Transactions: over TCP, a run of bytes to the server and the run back; of HTTP, a request and " \
	  "its final response") \
	X(TRANSACTIONS, unanswered, U64, COUNTER, "", "total_requests", "unanswered", \
	  "Requests whose connection ended before an answer began; of HTTP, before it was complete") \
	X(TRANSACTIONS, request_bytes, U64, COUNTER, "B", "total_bytes", "request", "Bytes of the requests") \
	X(TRANSACTIONS, response_bytes, U64, COUNTER, "B", "total_bytes", "response", \
	  "Bytes of the answers") \
	X(TRANSACTIONS, responses_2xx, U64, COUNTER, "", "http_response_codes", "status_2xx", \
	  "Responses of status 200 to 299") \
	X(TRANSACTIONS, responses_3xx, U64, COUNTER, "", "http_response_codes", "status_3xx", \
	  "Those of status 300 to 399") \
	X(TRANSACTIONS, responses_4xx, U64, COUNTER, "", "http_response_codes", "status_4xx", \
	  "Those of status 400 to 499") \
	X(TRANSACTIONS, responses_5xx, U64, COUNTER, "", "http_response_codes", "status_5xx", \
	  "Those of status 500 to 599") \
	DEEPMON_LATENCY_METRICS(X, TRANSACTIONS)

#define DEEPMON_TRAFFIC_METRICS(X) \
	X(TRAFFIC, sent_bytes, U64, COUNTER, "B", "total_bytes", "sent", "Bytes sent to it") \
	X(TRAFFIC, received_bytes, U64, COUNTER, "B", "total_bytes", "received", "Bytes received from it") \
	X(TRAFFIC, sent_messages, U64, COUNTER, "", "total_operations", "sent", "Calls that sent something") \
	X(TRAFFIC, received_messages, U64, COUNTER, "", "total_operations", "received", \
	  "Calls that received something") \
	X(TRAFFIC, opened_connections, U64, COUNTER, "", "total_connections", "opened", \
	  "TCP connections to a server, or from clients, that came about") \
	X(TRAFFIC, failed_connections, U64, COUNTER, "", "total_connections", "failed", \
	  "TCP connections to a server that did not") \
	X(TRAFFIC, closed_connections, U64, COUNTER, "", "total_connections", "closed", \
	  "TCP connections, of those opened, that have ended") \
	X(TRAFFIC, transactions, U64, COUNTER, "", "total_requests", "tcp", \
	  "Transactions with it over TCP, those of HTTP among them") \
	X(TRAFFIC, transaction_time_ns, U64, COUNTER, "ns", "deepmon_wait_ns", "tcp", \
	  "The time that they took, all together: over transactions, their mean latency") \
	X(TRAFFIC, request_bytes, U64, COUNTER, "B", "total_bytes", "request", "Bytes of their requests") \
	X(TRAFFIC, response_bytes, U64, COUNTER, "B", "total_bytes", "response", "Bytes of their answers") \
	X(TRAFFIC, http_transactions, U64, COUNTER, "", "total_requests", "http", \
	  "Transactions of HTTP with it") \
	X(TRAFFIC, http_transaction_time_ns, U64, COUNTER, "ns", "deepmon_wait_ns", "http", \
	  "The time that those took, but for such as waited behind 16 others on their connection") \
	X(TRAFFIC, latency_mean_seconds, F64, GAUGE, "s", "latency", "tcp_mean", \
	  "Mean latency of its transactions over TCP since the last report") \
	X(TRAFFIC, http_latency_mean_seconds, F64, GAUGE, "s", "latency", "http_mean", \
	  "The same of those of HTTP")

#define DEEPMON_MEMORY_METRICS(X) \
	X(MEMORY, usage_bytes, U64, GAUGE, "B", "memory", "used", \
	  "Memory charged to its cgroups, page cache included; of a system group in which others are " \
	  "nested, and of the root, no memory is told") \
	X(MEMORY, working_set_bytes, U64, GAUGE, "B", "memory", "working_set", \
	  "Usage less inactive page cache: what is not to be had back easily, as Kubernetes counts it") \
	X(MEMORY, anonymous_bytes, U64, GAUGE, "B", "memory", "anonymous", \
	  "Anonymous memory: heaps, stacks and private copies") \
	X(MEMORY, page_cache_bytes, U64, GAUGE, "B", "memory", "page_cache", \
	  "Page cache, shared memory included") \
	X(MEMORY, shared_bytes, U64, GAUGE, "B", "memory", "shared", \
	  "Shared memory and tmpfs, which is in the page cache too") \
	X(MEMORY, kernel_bytes, U64, GAUGE, "B", "memory", "kernel", \
	  "Kernel memory; on v2 before Linux 5.18 the sum of stacks, page tables, per-CPU data and slab") \
	X(MEMORY, swap_bytes, U64, GAUGE, "B", "swap", "used", "Swap used") \
	X(MEMORY, limit_bytes, U64, GAUGE, "B", "memory", "limit", \
	  "The limit of its own cgroup; absent without one") \
	X(MEMORY, limit_percent, F64, GAUGE, "percent", "percent", "memory_limit", \
	  "Working set per limit: at 100 the kernel must kill") \
	X(MEMORY, rss_bytes, U64, GAUGE, "B", "memory", "rss", \
	  "Resident memory of its processes, summed: what several of them share counts for each " \
	  "(ProportionalMemory)") \
	X(MEMORY, pss_bytes, U64, GAUGE, "B", "memory", "pss", \
	  "The same, but what is shared counts by its part: once for all who share it") \
	X(MEMORY, uss_bytes, U64, GAUGE, "B", "memory", "uss", \
	  "Of it, what one process has for itself alone") \
	X(MEMORY, rss_processes, U64, GAUGE, "", "count", "rss_processes", "Processes whose memory that is") \
	X(MEMORY, rss_age_seconds, F64, GAUGE, "s", "duration", "rss_age", \
	  "Age of these four figures: since the first of the processes was read") \
	X(MEMORY, minor_faults, U64, COUNTER, "", "vmpage_action", "minor_faults", \
	  "Page faults that were served from memory") \
	X(MEMORY, major_faults, U64, COUNTER, "", "vmpage_action", "major_faults", \
	  "Page faults that had to read") \
	X(MEMORY, oom_kills, U64, COUNTER, "", "total_events", "oom_kills", \
	  "Processes killed for want of memory; on v1 those of its own cgroup, without nested ones") \
	X(MEMORY, pressure_some_percent, F64, GAUGE, "percent", "percent", "memory_pressure_some", \
	  "Time in which some task waited for memory, of the last 10 s (PSI some avg10)") \
	X(MEMORY, pressure_full_percent, F64, GAUGE, "percent", "percent", "memory_pressure_full", \
	  "Time in which all tasks did (PSI full avg10)") \
	X(MEMORY, pressure_some_ns, U64, COUNTER, "ns", "deepmon_wait_ns", "memory_some", \
	  "Time in which some task waited for memory") \
	X(MEMORY, pressure_full_ns, U64, COUNTER, "ns", "deepmon_wait_ns", "memory_full", \
	  "Time in which all tasks did")

#define DEEPMON_BLOCK_METRICS(X) \
	X(BLOCK, read_bytes, U64, COUNTER, "B", "total_bytes", "read", "Bytes read from the device") \
	X(BLOCK, written_bytes, U64, COUNTER, "B", "total_bytes", "written", \
	  "Bytes written to it; on v1 without what the page cache writes later") \
	X(BLOCK, discarded_bytes, U64, COUNTER, "B", "total_bytes", "discarded", \
	  "Bytes discarded (trimmed)") \
	X(BLOCK, read_operations, U64, COUNTER, "", "total_operations", "read", "Requests to read") \
	X(BLOCK, write_operations, U64, COUNTER, "", "total_operations", "write", "Requests to write") \
	X(BLOCK, discard_operations, U64, COUNTER, "", "total_operations", "discard", "Requests to discard") \
	X(BLOCK, read_time_ns, U64, COUNTER, "ns", "deepmon_wait_ns", "read", \
	  "Time of the requests to read in the device (v1 with CFQ, or BFQ and its debugging, alone)") \
	X(BLOCK, write_time_ns, U64, COUNTER, "ns", "deepmon_wait_ns", "write", "The same of those to write")

#define DEEPMON_FILE_IO_METRICS(X) \
	X(FILE_IO, read_bytes, U64, COUNTER, "B", "total_bytes", "file_read", \
	  "Bytes that system calls read from regular files, page cache included; with FileIO counts from " \
	  "pipes and sockets, too") \
	X(FILE_IO, written_bytes, U64, COUNTER, "B", "total_bytes", "file_written", \
	  "Bytes that they wrote to those") \
	X(FILE_IO, read_calls, U64, COUNTER, "", "total_operations", "file_read", \
	  "Calls and requests that read there; with FileIO full without those that failed") \
	X(FILE_IO, write_calls, U64, COUNTER, "", "total_operations", "file_written", \
	  "Calls and requests that wrote") \
	X(FILE_IO, sync_calls, U64, COUNTER, "", "total_operations", "file_synced", \
	  "Calls and requests of fsync, fdatasync and sync_file_range (FileIO full)")

#define DEEPMON_FILE_USE_METRICS(X) \
	X(FILE_USE, read_bytes, U64, COUNTER, "B", "total_bytes", "file_read", \
	  "Bytes read from it, in those reports that told of it") \
	X(FILE_USE, written_bytes, U64, COUNTER, "B", "total_bytes", "file_written", "Bytes written to it") \
	X(FILE_USE, read_calls, U64, COUNTER, "", "total_operations", "file_read", \
	  "Calls and requests that read it") \
	X(FILE_USE, write_calls, U64, COUNTER, "", "total_operations", "file_written", \
	  "Calls and requests that wrote to it") \
	X(FILE_USE, missed_bytes, U64, GAUGE, "B", "bytes", "file_missed", \
	  "At most so many bytes more of it since the last report are in (other), for it came when " \
	  "MaxFiles others " \
	  "were there")

#define DEEPMON_FILE_LATENCY_METRICS(X) DEEPMON_LATENCY_METRICS(X, FILE_LATENCY)

#define DEEPMON_BUCKETS_METRICS(X) \
	X(BUCKETS, count, U64, GAUGE, "", "bucket", "", \
	  "How many since the last report took so long (LatencyBuckets)")

#define DEEPMON_COUNTER_METRICS(X) \
	X(COUNTER, anomalies, U64, COUNTER, "", "total_events", "anomalies", \
	  "Readings of this counter that made no sense; each leaves a gap") \
	X(COUNTER, wraps, U64, COUNTER, "", "total_events", "wraps", \
	  "Times that this counter wrapped, each made good")

#define DEEPMON_CHURN_METRICS(X) \
	X(CHURN, reported, U64, GAUGE, "", "count", "reported", \
	  "Containers, or system groups, in this report") \
	X(CHURN, ended_cgroups, U64, COUNTER, "", "total_objects", "ended", \
	  "Cgroups of this kind that have ended") \
	X(CHURN, ended_cpu_time_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "ended", \
	  "CPU time of those ended cgroups, over their lives as seen")

#define DEEPMON_SELF_COST_METRICS(X) \
	X(SELF_COST, process_cpu_time_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "process", \
	  "CPU time of the process that deepmon runs in (under collectd: of collectd)") \
	X(SELF_COST, sample_cpu_time_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "samples", \
	  "CPU time that deepmon's own samples took") \
	X(SELF_COST, sample_duration_ns, U64, GAUGE, "ns", "deepmon_ns", "sample_duration", \
	  "Wall time that the last sample took") \
	X(SELF_COST, energy_skew_ns, U64, GAUGE, "ns", "deepmon_ns", "energy_skew", \
	  "From the first reading of an energy counter to the last CPU's account: the longest " \
	  "since the last report") \
	X(SELF_COST, bpf_run_time_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "bpf", \
	  "CPU time in deepmon's programs in the kernel, by its own count (BpfStats on)") \
	X(SELF_COST, bpf_runs, U64, COUNTER, "", "total_operations", "bpf", \
	  "Times that they ran (BpfStats on)") \
	X(SELF_COST, energy_joules, MICRO, COUNTER, "J", "energy", "self", \
	  "Energy of deepmon's own samples, surveys and programs: their part of the CPU time in " \
	  "use, of the packages' energy in use") \
	X(SELF_COST, power_watts, F64, GAUGE, "W", "power", "self", \
	  "The same as power since the last report") \
	X(SELF_COST, survey_cpu_time_ns, U64, COUNTER, "ns", "deepmon_cpu_ns", "survey", \
	  "CPU time that reading RSS, PSS and USS took (ProportionalMemory)") \
	X(SELF_COST, resident_bytes, U64, GAUGE, "B", "memory", "resident", \
	  "Resident memory of that process") \
	X(SELF_COST, samples, U64, COUNTER, "", "total_operations", "samples", \
	  "Samples taken: those for reports and those in between") \
	X(SELF_COST, cgroups_tracked, U64, GAUGE, "", "count", "cgroups_tracked", \
	  "Cgroups known; MaxCgroups is the limit of those that run") \
	X(SELF_COST, slots_used, U64, GAUGE, "", "count", "slots_used", \
	  "Slots of the kernel's accounting in use; there are MaxCgroups of them") \
	X(SELF_COST, slots_refused, U64, COUNTER, "", "total_events", "slots_refused", \
	  "Times that a cgroup ran and found no free slot: its time is in the total of kind other") \
	X(SELF_COST, events_dropped, U64, COUNTER, "", "total_events", "events_dropped", \
	  "Cgroup events that found their buffer full; the cgroups are found again by search") \
	X(SELF_COST, switches_unseen, U64, COUNTER, "", "total_events", "switches_unseen", \
	  "Context switches that the kernel did not report; their time is charged by the " \
	  "scheduler's own count") \
	X(SELF_COST, programs_lost, U64, COUNTER, "", "total_events", "programs_lost", \
	  "Times that a program of deepmon's was found off its hook: what it would have counted since the " \
	  "last sample is not told") \
	X(SELF_COST, counters_failed, U64, COUNTER, "", "total_events", "counters_failed", \
	  "Readings of performance counters that failed; energy then goes by CPU time") \
	X(SELF_COST, counters_running_percent, F64, GAUGE, "percent", "percent", "counters_running", \
	  "Part of the time that the performance counters really counted; below 100 they took " \
	  "turns and are scaled") \
	X(SELF_COST, processes_refused, U64, COUNTER, "", "total_events", "processes_refused", \
	  "Times that a process found no room: MaxProcesses is the limit") \
	X(SELF_COST, sockets_refused, U64, COUNTER, "", "total_events", "sockets_refused", \
	  "Times that a TCP socket found no room: MaxSockets is the limit") \
	X(SELF_COST, calls_missed, U64, COUNTER, "", "total_events", "calls_missed", \
	  "Sends and receives whose end the kernel did not tell kprobes of; they are not counted") \
	X(SELF_COST, peers_refused, U64, COUNTER, "", "total_events", "peers_refused", \
	  "Times that a peer found no room: MaxPeers is the limit") \
	X(SELF_COST, http_paths_refused, U64, COUNTER, "", "total_events", "http_paths_refused", \
	  "Requests whose path found no room: MaxHTTPPaths is the limit") \
	X(SELF_COST, file_io_refused, U64, COUNTER, "", "total_events", "file_io_refused", \
	  "Tasks that the kernel had no memory for: their file I/O is told of nobody") \
	X(SELF_COST, latency_pages, U64, GAUGE, "", "count", "latency_pages", \
	  "Octaves of histograms in use; MaxLatencyPages is the limit") \
	X(SELF_COST, latencies_refused, U64, COUNTER, "", "total_events", "latencies_refused", \
	  "Latencies that found no room: they are counted, but in no percentile") \
	X(SELF_COST, file_operations_lost, U64, COUNTER, "", "total_events", "file_operations_lost", \
	  "Operations on files that were not counted: there was no memory to keep them in, or more than " \
	  "1,024 " \
	  "of Linux AIO ended at once") \
	X(SELF_COST, ended_unreported, U64, COUNTER, "", "total_events", "ended_unreported", \
	  "Groups that ended and, past MaxEnded, were dropped before a report; the totals have them")

/*
 * The options.
 * X(member of struct deepmon_options, collectd name, type, default, least, most, unit, help)
 * On the command line the name is the same in lower case with dashes. Types: TEXT (at most
 * DEEPMON_TEXT_MAX - 1 bytes; least and most do not apply), NUMBER, COUNT (a whole number), CHOICE
 * (default and the words to choose from, parted by |), BOOL, LIST (names and /regexes/, may be given again),
 * EVENT (of a performance counter).
 */
#define DEEPMON_OPTION_ROWS(X) \
	X(host_root, HostRoot, TEXT, "/", 0, 0, "", \
	  "Where the host's file system is; a monitoring container may have it at /host") \
	X(sys_root, SysRoot, TEXT, "", 0, 0, "", "The host's /sys; empty: HostRoot/sys") \
	X(proc_root, ProcRoot, TEXT, "", 0, 0, "", "The host's /proc; empty: HostRoot/proc") \
	X(cgroup_root, CgroupRoot, TEXT, "", 0, 0, "", \
	  "The host's cgroup file system; empty: SysRoot/fs/cgroup") \
	X(cgroup_hierarchy, CgroupHierarchy, CHOICE, "auto|unified|cpuacct|cpu|perf_event|memory|pids", 0, \
	  0, "", \
	  "Whose cgroups tell containers apart: the unified hierarchy (v2) or that of a v1 controller; " \
	  "auto: unified where it is the only one, else cpuacct") \
	X(docker_root, DockerRoot, TEXT, "/var/lib/docker", 0, 0, "", \
	  "Docker's data directory under HostRoot: where containers' names are read") \
	X(docker_socket, DockerSocket, TEXT, "/run/docker.sock", 0, 0, "", \
	  "Docker's socket under HostRoot, asked for a name that no file has; empty: never") \
	X(containerd_root, ContainerdRoot, TEXT, "/run/containerd", 0, 0, "", \
	  "containerd's state directory under HostRoot") \
	X(crio_root, CrioRoot, TEXT, "/run/containers/storage", 0, 0, "", \
	  "The state directory of CRI-O's storage under HostRoot") \
	X(podman_root, PodmanRoot, TEXT, "/var/lib/containers/storage", 0, 0, "", \
	  "podman's storage under HostRoot; that of a user's own is found in his home") \
	X(podman_socket, PodmanSocket, TEXT, "", 0, 0, "", \
	  "The socket of podman's service under HostRoot, such as /run/podman/podman.sock, asked for the " \
	  "labels of its containers, that of a user's own in /run/user; empty: labels are not known") \
	X(kubernetes_log_root, KubernetesLogRoot, TEXT, "/var/log", 0, 0, "", \
	  "Where the kubelet links the containers' logs, under HostRoot: their names tell of a pod " \
	  "whatever its runtime") \
	X(node_name, NodeName, TEXT, "", 0, 0, "", \
	  "What Kubernetes calls this host, as a tag of its containers; empty: none") \
	X(kubelet, Kubelet, TEXT, "", 0, 0, "", \
	  "URL of this host's kubelet, which knows what made each pod: https://NAME:10250, or " \
	  "http://127.0.0.1:10255 where that is open; empty: not asked") \
	X(kubelet_ca, KubeletCA, TEXT, "", 0, 0, "", \
	  "File with the authority that its certificate is verified by; empty: KubernetesCA") \
	X(kubelet_interval, KubeletInterval, NUMBER, "60", 1, 3600, "s", \
	  "How often it is asked, and KubernetesAPI, when no pod is new") \
	X(kubernetes_api, KubernetesAPI, TEXT, "", 0, 0, "", \
	  "URL of the API server, such as https://kubernetes.default.svc, asked for the services of the " \
	  "pods that Kubelet tells of; empty: not asked") \
	X(kubernetes_ca, KubernetesCA, TEXT, "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", 0, 0, \
	  "", "File with the authority that its certificate is verified by, as deepmon itself sees it") \
	X(kubernetes_token, KubernetesToken, TEXT, "/var/run/secrets/kubernetes.io/serviceaccount/token", 0, \
	  0, "", "File with the token that both are asked with, as deepmon itself sees it") \
	X(container_label, ContainerLabel, LIST, "", 0, 0, "", \
	  "Labels of the runtime's or the pod's, or annotations, that become tags label_KEY: the first of " \
	  "them that " \
	  "find room") \
	X(container, Container, LIST, "", 0, 0, "", \
	  "Containers that are told one by one; all others are summed as (other). In a pod " \
	  "NAMESPACE/POD/CONTAINER or the last of it") \
	X(image, Image, LIST, "", 0, 0, "", "The same by image, with its tag or without") \
	X(name_space, Namespace, LIST, "", 0, 0, "", "The same by namespace of Kubernetes") \
	X(pod, Pod, LIST, "", 0, 0, "", "The same by name of the pod") \
	X(ignore_selected, IgnoreSelected, BOOL, "false", 0, 0, "", \
	  "Whether what Container, Image, Namespace or Pod name is summed, and all others are told one by " \
	  "one; without it what is told must fit each of them that is given") \
	X(energy_source, EnergySource, CHOICE, "auto|powercap|perf|msr|hwmon|none", 0, 0, "", \
	  "Where the processors' energy is read; auto: the first of these that has counters") \
	X(sample_interval, SampleInterval, NUMBER, "1", 0.05, 60, "s", \
	  "How often energy and CPU time are read between reports, so that no counter wraps unseen") \
	X(cycles_event, CyclesEvent, EVENT, "cycles", 0, 0, "", \
	  "The event counted as cycles, by which energy is shared") \
	X(instructions_event, InstructionsEvent, EVENT, "instructions", 0, 0, "", \
	  "The event counted as instructions") \
	X(cache_references_event, CacheReferencesEvent, EVENT, "cache-references", 0, 0, "", \
	  "The event counted as cache references") \
	X(cache_misses_event, CacheMissesEvent, EVENT, "cache-misses", 0, 0, "", \
	  "The event counted as cache misses, by which memory's energy is shared") \
	X(smt_overlap, SmtOverlap, CHOICE, "auto|off", 0, 0, "", \
	  "Whether CPU time beside a busy sibling hardware thread is accounted; auto: where there are some") \
	X(smt_overlap_ratio, SmtOverlapRatio, NUMBER, "0.55", 0, 1, "", \
	  "What such time counts of time alone: 0.55 makes two busy siblings cost 1.1 of one") \
	X(interrupts, Interrupts, CHOICE, "interrupted|kernel", 0, 0, "", \
	  "Whose CPU time interrupts are: that of what they interrupt, as in the kernel's own accounts, or " \
	  "the total of kind kernel, which costs a program at each of them") \
	X(idle_policy, IdlePolicy, CHOICE, "separate|proportional|equal", 0, 0, "", \
	  "Who gets the energy that flows without any work: nobody (it is the total of kind idle), all by " \
	  "their weight, or every container the same") \
	X(idle_package_watts, IdlePackageWatts, NUMBER, "-1", -1, 2000, "W", \
	  "Power of one package with nothing running; negative: learned") \
	X(idle_core_watts, IdleCoreWatts, NUMBER, "-1", -1, 2000, "W", "The same of the domain core") \
	X(idle_uncore_watts, IdleUncoreWatts, NUMBER, "-1", -1, 2000, "W", "The same of the domain uncore") \
	X(idle_dram_watts, IdleDramWatts, NUMBER, "-1", -1, 2000, "W", "The same of the domain dram") \
	X(processes, Processes, COUNT, "0", 0, 1000, "", \
	  "How many processes, by name, are told of each container: those that used most energy; counters " \
	  "of one go on while it is among them") \
	X(max_processes, MaxProcesses, COUNT, "4096", 64, 1048576, "", \
	  "Processes accounted one by one; those past it are in their container's (other)") \
	X(network, Network, CHOICE, "off|on", 0, 0, "", \
	  "Whether bytes, messages, connections and TCP transactions are counted; it costs a program at " \
	  "each send and receive") \
	X(network_hooks, NetworkHooks, CHOICE, "auto|tracepoints|fentry|kprobes", 0, 0, "", \
	  "Where the kernel is asked for sends and receives; auto: the first of these that it takes. " \
	  "Kprobes tell of no transactions, fentry from Linux 5.12 on, of HTTP's from 5.17 on") \
	X(max_sockets, MaxSockets, COUNT, "65536", 64, 4194304, "", \
	  "TCP sockets known at a time where the kernel has no storage for that: before Linux 5.11, and " \
	  "with kprobes; of those past it bytes are counted, but not opens and closes") \
	X(http, HTTP, CHOICE, "off|on", 0, 0, "", \
	  "Whether HTTP is told apart among transactions, with Network on; it reads the heads of requests " \
	  "and responses, which costs more than all else of the network") \
	X(peers, Peers, COUNT, "0", 0, 1000, "", \
	  "How many peers are told of each container: those endpoints that it exchanged most bytes with, " \
	  "if " \
	  "Network is on; counters of one go on while it is among them") \
	X(peer_names, PeerNames, BOOL, "true", 0, 0, "", \
	  "Whether a peer that is a container of this host, or that another answers for, goes by its name") \
	X(max_peers, MaxPeers, COUNT, "4096", 64, 1048576, "", \
	  "Peers counted one by one, of all containers; those past it are in their container's (other)") \
	X(http_paths, HTTPPaths, COUNT, "0", 0, 1000, "", \
	  "How many paths are told of each container, with HTTP on: those of a role, method and path that " \
	  "had " \
	  "most transactions; counters of one go on while it is among them") \
	X(max_http_paths, MaxHTTPPaths, COUNT, "1024", 16, 1048576, "", \
	  "Paths counted one by one, of all containers; those past it are in their container's (other)") \
	X(http_path_max, HTTPPathMax, COUNT, "80", 8, 240, "", \
	  "Bytes of a path that are told; all that begin with the same are one") \
	X(http_path_ids, HTTPPathIds, CHOICE, "fold|keep", 0, 0, "", \
	  "Whether :id stands for the segments of a path that look like ids, so that paths which differ in " \
	  "them are one: numbers, and 8 or more hexadecimal digits and hyphens") \
	X(memory, Memory, CHOICE, "on|off", 0, 0, "", \
	  "Whether the memory of containers and units is told, from their cgroups' files") \
	X(proportional_memory, ProportionalMemory, CHOICE, "off|on", 0, 0, "", \
	  "Whether RSS, PSS and USS are told, from each process's smaps_rollup: between reports, by turns") \
	X(proportional_memory_interval, ProportionalMemoryInterval, NUMBER, "60", 0.1, 86400, "s", \
	  "How often those of a container or unit are read, if the budget allows") \
	X(proportional_memory_budget, ProportionalMemoryBudget, NUMBER, "1", 0.01, 100, "percent", \
	  "CPU time for that, of one CPU; where it is not enough, the figures get older") \
	X(block_devices, BlockDevices, COUNT, "8", 0, 1024, "", \
	  "Block devices whose use is told of each container and unit; those past it are summed as " \
	  "(other); 0: " \
	  "none is") \
	X(file_io, FileIO, CHOICE, "off|counts|full", 0, 0, "", \
	  "Whether file I/O is counted: counts takes what tasks read and write by system calls, which " \
	  "makes a " \
	  "context switch dearer; full takes each operation on a regular file, with its latency, which " \
	  "makes " \
	  "that dearer, and on some kernels every system call") \
	X(top_files, TopFiles, COUNT, "0", 0, 1000, "", \
	  "How many files are told of the host: those on which most was read and written since the last " \
	  "report; " \
	  "with FileIO full") \
	X(container_files, ContainerFiles, COUNT, "0", 0, 1000, "", "The same of each container") \
	X(max_files, MaxFiles, COUNT, "4096", 64, 1048576, "", \
	  "Files that are told apart at once, rounded up to a power of two; what is read and written in " \
	  "others is " \
	  "in (other)") \
	X(file_path_max, FilePathMax, COUNT, "256", 16, 4096, "", \
	  "Bytes that are told of a file's path: of a longer one its end, with ... before it") \
	X(max_file_requests, MaxFileRequests, COUNT, "4096", 16, 1048576, "", \
	  "Requests of io_uring and Linux AIO that are timed at once; the latency of those past it is not " \
	  "known") \
	X(latency_buckets, LatencyBuckets, BOOL, "false", 0, 0, "", \
	  "Whether the histograms themselves are told, beside their percentiles: a line for each bucket " \
	  "that something fell into") \
	X(max_latency_pages, MaxLatencyPages, COUNT, "8192", 16, 1048576, "", \
	  "Octaves of all histograms of latencies that are kept at once, 528 bytes each; what falls into " \
	  "one past it is in no percentile") \
	X(idle_reread, IdleReread, NUMBER, "60", 0, 3600, "s", \
	  "Files of a container or unit that used no CPU time since they were read are read again after " \
	  "that " \
	  "long: they change little then; 0: for each report") \
	X(bpf_stats, BpfStats, CHOICE, "off|on", 0, 0, "", \
	  "Whether the kernel measures deepmon's programs; it costs every BPF program of the host some ns") \
	X(max_cgroups, MaxCgroups, COUNT, "8192", 16, 262144, "", \
	  "Cgroups accounted one by one; those past it are summed in the total of kind other") \
	X(max_ended, MaxEnded, COUNT, "1024", 16, 65536, "", \
	  "Ended containers and system groups whose totals are kept, to go on if the name comes back") \
	X(max_containers, MaxContainers, COUNT, "1024", 1, 65536, "", \
	  "Containers told one by one in a report: those that used most energy, or CPU time; the others " \
	  "are summed as (other)") \
	X(max_units, MaxUnits, COUNT, "1024", 1, 65536, "", "The same of systemd units and other cgroups") \
	X(max_log_lines, MaxLogLines, COUNT, "60", 1, 1000000, "", \
	  "Lines of log in a minute; those past it are counted and left out") \
	X(experiment, Experiment, TEXT, "", 0, 0, "", \
	  "A name that is put on all that is told, as the tag experiment (collectd: before the plugin " \
	  "instance): the same on many hosts makes one experiment of them; empty: none") \
	X(record, Record, TEXT, "", 0, 0, "", \
	  "A file into which all that is read of the host is recorded, for deepmon-execd --replay; empty: " \
	  "nothing is. One that is there gets .old behind its name") \
	X(record_max, RecordMax, COUNT, "1024", 1, 1048576, "MiB", \
	  "Size of that file, at most: there the recording ends, and measuring goes on") \
	X(report_energy, ReportEnergy, BOOL, "true", 0, 0, "", "Whether energy and power are told") \
	X(report_cpu, ReportCPU, BOOL, "true", 0, 0, "", "Whether CPU time is told") \
	X(report_counters, ReportCounters, BOOL, "true", 0, 0, "", \
	  "Whether the processors' performance counters are told") \
	X(report_network, ReportNetwork, BOOL, "true", 0, 0, "", \
	  "Whether the network is told; Network off does not measure it") \
	X(report_memory, ReportMemory, BOOL, "true", 0, 0, "", \
	  "Whether memory is told; Memory off does not read it") \
	X(report_block, ReportBlock, BOOL, "true", 0, 0, "", \
	  "Whether block I/O is told; BlockDevices 0 does not read it") \
	X(report_file_io, ReportFileIO, BOOL, "true", 0, 0, "", \
	  "Whether file I/O and its latencies are told; FileIO off does not count it") \
	X(report_containers, ReportContainers, BOOL, "true", 0, 0, "", \
	  "Whether containers are told one by one; their total is all the same") \
	X(report_system, ReportSystem, BOOL, "true", 0, 0, "", \
	  "Whether systemd units and other cgroups are told one by one; their total is all the same") \
	X(report_processes, ReportProcesses, BOOL, "true", 0, 0, "", \
	  "Whether processes are told; Processes 0 does not tell them apart") \
	X(report_peers, ReportPeers, BOOL, "true", 0, 0, "", \
	  "Whether peers are told; Peers 0 does not tell them apart") \
	X(report_http_paths, ReportHTTPPaths, BOOL, "true", 0, 0, "", \
	  "Whether paths are told; HTTPPaths 0 does not tell them apart") \
	X(report_totals, ReportTotals, BOOL, "true", 0, 0, "", \
	  "Whether the parts of the whole and the host are told") \
	X(report_zones, ReportZones, BOOL, "true", 0, 0, "", "Whether the single energy counters are told") \
	X(report_self, ReportSelf, BOOL, "true", 0, 0, "", "Whether deepmon's own cost is told")

#endif
