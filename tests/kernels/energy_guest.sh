#!/busybox sh
# SPDX-License-Identifier: GPL-3.0-only
# The first process of a virtual machine whose kernel has rapl_model.ko as its RAPL: runs deepmon-execd while
# the zones wrap, go away and come back. It only shows; energy.py judges. Lines of the
# report come as they are, each report after "report N", the model before and after it as "model NAME JOULES".

PATH=/bin
CONTAINER=/sys/fs/cgroup/docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
SERVICE=/sys/fs/cgroup/steady.service
PARAMETERS=/sys/module/rapl_model/parameters

model() {
	[ -d $PARAMETERS ] || return
	for zone in package core dram; do
		echo "model $1 $zone $(cat $PARAMETERS/${zone}_uj)"
	done
}

# CPU time that the kernel has given to all tasks, and to those of the container.
cpu_time() {
	echo "cpu_ns $1 all $(awk '/^cpu/ { sum += $8 } END { printf "%.0f", sum }' /proc/schedstat)"
	echo "cpu_ns $1 container $(awk '/^usage_usec/ { printf "%.0f", $2 * 1000 }' $CONTAINER/cpu.stat)"
}

reports=0
report() {
	reports=$((reports + 1))
	model before
	cpu_time before
	echo >&3
	for _ in $(seq 300); do
		[ "$(grep -c '^deepmon_self ' /out)" -ge $reports ] && break
		sleep 0.1
	done
	model after
	cpu_time after
	echo "report $1"
	tail -n +$((shown + 1)) /out
	shown=$(grep -c '' /out)
}

# In the cgroup, for so many seconds.
burn() {
	sh -c "echo \$\$ > $1/cgroup.procs; exec timeout $2 sh -c 'while :; do :; done'"
}

/busybox mkdir -p /bin /proc /sys
/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p $CONTAINER $SERVICE
echo "guest begins: Linux $(uname -r)"
insmod /rapl_model.ko range_uj=$range_uj || echo "guest failed: insmod"
mkfifo /in
: > /out
shown=0
/deepmon-execd --signal STDIN --sample-interval 0.1 \
	--idle-package-watts 50 --idle-core-watts 5 --idle-dram-watts 10 < /in >> /out 2> /log &
execd=$!
exec 3> /in

report opened
report first
burn $CONTAINER 3 &
burn $SERVICE 1
wait $!
report worked
rmmod rapl_model
burn $CONTAINER 1
report gone
burn $CONTAINER 1
report absent
insmod /rapl_model.ko range_uj=$range_uj
sleep 2
report again
burn $CONTAINER 1
report back
exec 3>&-
wait $execd
echo "execd ended with status $?"
sed 's/^/log /' /log
echo "guest done"
poweroff -f
