#!/bin/sh
# Runs on the building computer when the packages are installed and the files of rootfs/ are laid over them.
# The only argument is the folder of the root file system. It must not need the network.
set -eu
root=$1

# GRUB starts whatever kernel was installed under one name.
kernel=$(cd "$root/boot" && ls vmlinuz-* | tail -n 1)
ln -sf "$kernel" "$root/boot/vmlinuz"

# Partitions of their own.
mkdir -p "$root/mnt/boot" "$root/mnt/state" "$root/mnt/data"
rm -rf "$root/var/lib/docker"
ln -s /mnt/data/docker "$root/var/lib/docker"
ln -s /mnt/state/root-overlay/etc/ssh/hostkeys "$root/etc/ssh/hostkeys"

# The names that the engine has on balenaOS.
for name in balena balena-engine; do ln -sf docker "$root/usr/bin/$name"; done

# SSH in development mode takes root's empty password; production takes keys only, whatever the password is.
chroot "$root" passwd --quiet --delete root
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/avahi/services/"*.example
rm -f "$root/etc/machine-id" "$root/var/lib/dbus/machine-id"
: >"$root/etc/machine-id"
# Logs stay in memory unless config.json asks for more.
rm -rf "$root/var/log/journal"

chmod 755 "$root"/usr/lib/virtual-device/*
cp "$root/usr/share/systemd/tmp.mount" "$root/etc/systemd/system/tmp.mount"
chroot "$root" systemctl --quiet enable \
  boot-config.service grow-data.service persistent-log.service dnsmasq.service balena.service tmp.mount \
  serial-getty@ttyS0.service
chroot "$root" systemctl --quiet mask \
  docker.service docker.socket containerd.service \
  NetworkManager-wait-online.service NetworkManager-dispatcher.service \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
  e2scrub_reap.service systemd-pstore.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
  systemd-networkd.service getty@tty1.service sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount \
  dev-mqueue.mount ldconfig.service systemd-hwdb-update.service systemd-journal-catalog-update.service
# Consoles are opened by development mode alone, not by what the kernel command line says.
mkdir -p "$root/etc/systemd/system-generators"
ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-getty-generator"

# What is installed but never used here.
rm -rf \
  "$root/usr/bin/ctr" "$root/usr/bin/containerd-stress" "$root/usr/bin/containerd-shim" "$root/usr/bin/containerd-shim-runc-v1" \
  "$root/usr/bin/dnet" "$root/usr/bin/ovrouter" "$root/usr/bin/perl" "$root/usr/bin/perl5.36.0" \
  "$root/usr/share/perl" "$root/usr/lib/x86_64-linux-gnu/perl" "$root/usr/lib/x86_64-linux-gnu/gconv" \
  "$root/usr/lib/udev/hwdb.bin" "$root/usr/lib/udev/hwdb.d" "$root"/boot/initrd.img* "$root"/boot/System.map* \
  "$root/var/lib/apt/lists" "$root/var/cache/apt" "$root/var/cache/debconf" "$root/var/log/apt"
mkdir -p "$root/var/lib/apt/lists" "$root/var/cache/apt"

# Drivers of file systems and devices that no virtual machine has.
for modules in "$root"/usr/lib/modules/*/kernel; do
  (cd "$modules" && rm -rf drivers/gpu drivers/infiniband drivers/media drivers/hv drivers/xen drivers/net/ethernet/mellanox \
    drivers/net/hyperv drivers/usb/serial drivers/staging drivers/comedi drivers/target drivers/hid drivers/isdn drivers/iio sound \
    fs/btrfs fs/ceph fs/gfs2 fs/jfs fs/nfs fs/nfsd fs/ntfs3 fs/ocfs2 fs/reiserfs fs/smb fs/cifs fs/ubifs fs/xfs fs/dlm \
    net/ceph net/openvswitch net/sctp net/rds net/tipc net/dccp net/sunrpc net/wireless net/mac80211 net/bluetooth)
done
chroot "$root" depmod "$(basename "$root"/usr/lib/modules/*)"
