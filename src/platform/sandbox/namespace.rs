//! A user and mount namespace in which the protected folders are mounted read-only.
//!
//! In the order of the steps: the namespaces; every folder above a protected one is mounted onto itself, because a mount
//! point can't be renamed; the protected ones are mounted read-only under each of their names; what may be written is
//! mounted over them again; all capabilities go, also those that root would get back by starting a program. A further user
//! namespace gives them back for new mounts only: those of this one are locked in it. The processes of `mesh` can't be
//! reached through `/proc/PID/root`, since they are in another user namespace.

use super::{mounts, privileges};
use crate::platform::look;
use crate::platform::machine_fault::at;
use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount_bind, mount_bind_recursive, mount_change,
    mount_remount,
};
use rustix::process::{getgid, getuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What root could get around the mounts with, without any capability: settings of the kernel that name a program to start.
const KERNEL_SETTINGS: [&str; 3] = ["/proc/sys", "/proc/sysrq-trigger", "/sys"];

/// Enters the namespaces. The working folder is afterwards still the one outside.
pub fn enter(read_only: &[PathBuf], writable: &[PathBuf]) -> io::Result<()> {
    close_inherited_files()?;
    let before = mounts::read()?;
    let disks = writable_disks(Path::new("/dev")).map_err(at("looking for disks in /dev"))?;
    create_namespaces()?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(at("making the mounts private"))?;
    let settings = KERNEL_SETTINGS.map(PathBuf::from);
    let all = read_only
        .iter()
        .chain(settings.iter().filter(|_| getuid().is_root()))
        .flat_map(|path| mounts::names_of(path, &before));
    let mut names = BTreeSet::new();
    for path in all {
        // A mount that another one covers has names that lead nowhere.
        if look::reach(&path)?.is_some() {
            names.insert(path);
        }
    }
    for folder in above(&names) {
        bind(&folder)?;
    }
    for path in &names {
        bind(path)?;
    }
    let all = mounts::read()?;
    for path in &names {
        for mount in all.iter().filter(|mount| mount.target.starts_with(path)) {
            remount(&mount.target, true)?;
        }
    }
    for path in writable
        .iter()
        .filter(|path| names.iter().any(|name| path.starts_with(name)))
    {
        bind(path)?;
        remount(path, false)?;
    }
    for disk in disks {
        mount_bind("/dev/null", &disk).map_err(at(disk.display()))?;
    }
    privileges::drop_all()
}

/// The folders above the paths, the outer ones first, without the root.
fn above(paths: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let ancestors = paths.iter().flat_map(|path| path.ancestors().skip(1));
    let folders: BTreeSet<&Path> = ancestors
        .filter(|folder| folder.parent().is_some())
        .collect();
    // The order of paths has a folder before what is in it.
    folders.into_iter().map(Path::to_owned).collect()
}

/// The block devices that this user can write, below the file systems on them. The walk stays on the file system of
/// `folder`: what is mounted in `/dev`, as `/dev/shm` is, belongs to users and can have any number of files.
fn writable_disks(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let device = |path: &Path| look::reach(path).map(|of| of.map(|of| of.dev()));
    let own = device(folder)?;
    let entries = look::reachable(std::fs::read_dir(folder))?;
    for entry in entries.into_iter().flatten() {
        let path = entry?.path();
        let Some(there) = look::reachable(std::fs::symlink_metadata(&path))? else {
            continue;
        };
        let kind = there.file_type();
        if kind.is_dir() && device(&path)? == own {
            found.extend(writable_disks(&path)?);
        } else if kind.is_block_device() {
            let writable = access(&path, Access::WRITE_OK).map_err(io::Error::from);
            found.extend(look::reachable(writable)?.map(|()| path));
        }
    }
    Ok(found)
}

fn bind(path: &Path) -> io::Result<()> {
    mount_bind_recursive(path, path).map_err(at(format_args!("mounting `{}`", path.display())))
}

/// Changes whether a mount is read-only. Its other flags stay: the kernel refuses to drop one of the outer namespace.
fn remount(path: &Path, read_only: bool) -> io::Result<()> {
    let step = format!("mounting `{}` read-only", path.display());
    let now = match statvfs(path) {
        // Something that only its owner may look at: nobody else can write there either.
        Err(rustix::io::Errno::ACCESS) => return Ok(()),
        now => now.map_err(at(&step))?.f_flag,
    };
    let kept = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let mut flags = MountFlags::BIND;
    flags.set(MountFlags::RDONLY, read_only);
    for (is_set, flag) in kept {
        flags.set(flag, now.contains(is_set));
    }
    mount_remount(path, flags, c"").map_err(at(&step))
}

#[expect(
    unsafe_code,
    reason = "creating a namespace is unsafe with shared file tables or threads; here is neither"
)]
fn create_namespaces() -> io::Result<()> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    // SAFETY: the flags leave the file table alone, and the helper has one thread.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }
        .map_err(at("creating a user namespace"))?;
    // Where the kernel allows it, which it does for root, files keep their owners.
    if std::fs::write("/proc/self/uid_map", "0 0 4294967295").is_ok() {
        return std::fs::write("/proc/self/gid_map", "0 0 4294967295")
            .map_err(at("mapping groups"));
    }
    std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))
        .map_err(at("mapping the user"))?;
    std::fs::write("/proc/self/setgroups", "deny").map_err(at("mapping groups"))?;
    std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).map_err(at("mapping the group"))
}

/// An open folder of the outer namespace would be a way around the mounts.
#[expect(
    unsafe_code,
    reason = "descriptors that were inherited have no owner in this program"
)]
fn close_inherited_files() -> io::Result<()> {
    use rustix::io::{FdFlags, fcntl_setfd};
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|number| *number > 2) else {
            continue;
        };
        // SAFETY: the number was open a moment ago, and nothing runs beside this; setting the flag keeps it open.
        let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        // The listing's own descriptor, which closes with it, is among them.
        let _ = fcntl_setfd(file, FdFlags::CLOEXEC);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_above_come_outermost_first_and_without_the_root() {
        let paths = ["/a/b/c", "/a/d", "/a-b/c"].map(PathBuf::from).into();
        let found: Vec<String> = above(&paths)
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(found, ["/a", "/a/b", "/a-b"]);
    }
}
