/* SPDX-License-Identifier: GPL-3.0-only
 *
 * Who runs on the made-up host of host.c, which alone includes it.
 *
 * X(name: of a pod's container NAMESPACE/POD/CONTAINER, of a unit its path; a pod's container;
 *   runtime: NULL of what is no container; image, version, labels, processes: the first works most;
 *   on which CPU, thousandths of it, per cent that this swings by, over so many seconds;
 *   MHz, instructions per 100 cycles, thousandths of the cache's references that miss;
 *   MiB resident, limit (0: none);
 *   and a second in KiB: sent and received over TCP, read from and written to disks, and to files)
 */
#ifndef DEEPMON_SCREENS_ACTORS_H
#define DEEPMON_SCREENS_ACTORS_H

#define COMPOSE(service) \
	{ \
		{"compose_project", "shop"}, \
		{ \
			"compose_service", service \
		} \
	}
#define POD(in, pod) \
	{ \
		{"namespace", in}, \
		{ \
			"pod_name", pod \
		} \
	}
#define NO_LABELS \
	{ \
		{ \
			NULL, NULL \
		} \
	}
#define RUN(...) \
	{ \
		__VA_ARGS__ \
	}

#define LONG_NAME "an-indexer-whose-name-is-longer-than-any-column-finds-room-for-on-a-screen"
/* An accent of its own, and what turns the order of the characters around "evil". */
#define ODD_NAME \
	"cafe\xcc\x81-\xe2\x80\xae" \
	"evil" \
	"\xe2\x80\xac"

#define ACTORS(X) \
	X("shop-web-1", "", "docker", "nginx", "1.27", COMPOSE("web"), RUN("nginx", "node"), 0, 620, 30, 40, \
	  3100, 182, 14, 412, 1024, 8600, 2400, 0, 40, 900, 60) \
	X("shop-db-1", "", "docker", "postgres", "16", COMPOSE("db"), RUN("postgres", "walwriter"), 1, 480, \
	  20, 30, 2900, 96, 61, 1890, 4096, 1900, 700, 2200, 6100, 5200, 6400) \
	X("shop-cache-1", "", "docker", "redis", "7", COMPOSE("cache"), RUN("redis-server"), 2, 140, 40, 20, \
	  3000, 121, 33, 256, 512, 3300, 3100, 0, 300, 0, 300) \
	X("shop-load-1", "", "docker", "alpine", "3.20", COMPOSE("load"), RUN("wrk"), 3, 310, 30, 40, 3200, \
	  205, 8, 18, 0, 2400, 8600, 0, 0, 0, 0) \
	X("monitoring/prometheus-0/prometheus", "prometheus", "containerd", "quay.io/prometheus/prometheus", \
	  "v2.53", POD("monitoring", "prometheus-0"), RUN("prometheus"), 4, 230, 60, 15, 2800, 140, 41, \
	  1210, 2048, 90, 1400, 800, 1900, 800, 2100) \
	X("monitoring/grafana-5d8c7b9f4-lq2zx/grafana", "grafana", "containerd", "grafana/grafana", "11.1", \
	  POD("monitoring", "grafana-5d8c7b9f4-lq2zx"), RUN("grafana"), 4, 30, 80, 10, 2800, 110, 22, 164, \
	  256, 40, 20, 0, 12, 4, 12) \
	X("batch/report-28401-x7k2p/report", "report", "containerd", "registry.example/team/report", \
	  "2026.3", POD("batch", "report-28401-x7k2p"), RUN("python3", "sort"), 5, 940, 5, 60, 3400, 231, \
	  12, 2900, 3072, 10, 60, 11000, 150, 12000, 400) \
	X("batch/report-28401-x7k2p/proxy", "proxy", "containerd", "envoyproxy/envoy", "v1.30", \
	  POD("batch", "report-28401-x7k2p"), RUN("envoy"), 5, 12, 50, 12, 2700, 90, 25, 44, 64, 60, 60, 0, \
	  0, 0, 0) \
	X(LONG_NAME, "", "podman", "localhost/indexer", "latest", NO_LABELS, RUN("indexer"), 6, 85, 10, 30, \
	  2600, 75, 88, 730, 0, 0, 0, 4100, 0, 4100, 0) \
	X("검색-색인-서비스-데이터베이스-복제본", "", "docker", "index", "1", NO_LABELS, RUN("java"), 6, \
	  210, 15, 25, 3000, 99, 47, 1400, 1536, 200, 900, 0, 700, 20, 800) \
	X(ODD_NAME, "", "docker", "bar", "0", NO_LABELS, RUN("sh"), 7, 4, 0, 1, 2500, 60, 10, 3, 0, 0, 0, 0, \
	  0, 0, 0) \
	X("/system.slice/containerd.service", "", NULL, "", "", NO_LABELS, RUN("containerd"), 7, 45, 40, 12, \
	  2700, 88, 30, 96, 0, 0, 0, 0, 80, 60, 90) \
	X("/system.slice/ssh.service", "", NULL, "", "", NO_LABELS, RUN("sshd"), 7, 2, 0, 1, 2500, 70, 20, \
	  8, 0, 3, 2, 0, 0, 0, 0)

#endif
