//! Whom the process runs as, and becoming someone with less power for good.
//!
//! Names are looked up in `/etc/passwd` and `/etc/group` themselves, not through the C library's name service, which
//! would load code and reach the network just when privileges go. Accounts of LDAP and the like are given by number.
//!
//! Invariant: when [`become_user`] returns `Ok`, no thread of the process has, or can get back, what it had before.

use std::fs;

use rustix::process::{Gid, Uid, getegid, geteuid, getgid, getgroups, getuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use crate::NetError;

/// An account to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name, or its number as it was given.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// The group it runs with.
    pub gid: u32,
    /// Every group it belongs to, the one it runs with included.
    pub groups: Vec<u32>,
}

/// Whether the process acts as root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The user that the process acts as, by number.
pub fn uid() -> u32 {
    geteuid().as_raw()
}

/// Finds a user, and the group it is to run with where that is not its own. Both may be given by number; a number that
/// no account has is taken as it is, with the number itself as the group.
///
/// # Errors
/// Where a name is not in the files.
pub fn lookup_user(user: &str, group: Option<&str>) -> Result<User, NetError> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    find(user, group, &passwd, &groups)
}

/// Becomes `user` for good: supplementary groups, then group, then user, then every capability dropped, then a look
/// whether all of it holds and whether root can be had back. Must be called before any other thread starts, since the
/// kernel keeps these per thread.
///
/// # Errors
/// Where a step fails or did not hold. The process must end then, not serve.
pub fn become_user(user: &User) -> Result<(), NetError> {
    let threads = fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or(1);
    if threads > 1 {
        return Err(failed("before the first thread", &format!("{threads} threads run already")));
    }
    become_on_this_thread(user)
}

/// The whole of [`become_user`] for the calling thread alone.
pub(super) fn become_on_this_thread(user: &User) -> Result<(), NetError> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let groups: Vec<Gid> = user.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_thread_groups(&groups).map_err(|error| failed("set the groups", &error))?;
    set_thread_res_gid(gid, gid, gid).map_err(|error| failed("set the group", &error))?;
    set_thread_res_uid(uid, uid, uid).map_err(|error| failed("set the user", &error))?;
    set_capabilities(None, none).map_err(|error| failed("drop the capabilities", &error))?;
    verify(uid, gid, &groups)
}

fn verify(uid: Uid, gid: Gid, groups: &[Gid]) -> Result<(), NetError> {
    if (getuid(), geteuid()) != (uid, uid) || (getgid(), getegid()) != (gid, gid) {
        return Err(failed("verify", "the ids are not the ones that were set"));
    }
    let mut held = getgroups().map_err(|error| failed("verify the groups", &error))?;
    let mut wanted = groups.to_vec();
    held.sort_by_key(|group| group.as_raw());
    wanted.sort_by_key(|group| group.as_raw());
    if held != wanted {
        return Err(failed("verify the groups", "the process still has groups that it should not have"));
    }
    let left = capabilities(None).map_err(|error| failed("verify the capabilities", &error))?;
    if !(left.effective | left.permitted | left.inheritable).is_empty() {
        return Err(failed("verify the capabilities", "some are left"));
    }
    if !uid.is_root() && set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_ok() {
        return Err(failed("verify", "the process can still become root"));
    }
    Ok(())
}

fn failed(step: &'static str, cause: &(impl ToString + ?Sized)) -> NetError {
    NetError::Privileges { step, cause: cause.to_string() }
}

/// [`lookup_user`] on the files' content (passwd(5), group(5)).
pub(super) fn find(user: &str, group: Option<&str>, passwd: &str, groups: &str) -> Result<User, NetError> {
    let number = user.parse::<u32>().ok();
    let entry = passwd.lines().filter_map(account).find(|entry| entry.name == user || Some(entry.uid) == number);
    let (name, uid, own_gid) = match (entry, number) {
        (Some(entry), _) => (entry.name.to_owned(), entry.uid, entry.gid),
        (None, Some(number)) => (user.to_owned(), number, number),
        (None, None) => return Err(NetError::UnknownUser { name: user.to_owned() }),
    };
    let gid = match group {
        Some(group) => find_group(group, groups)?,
        None => own_gid,
    };
    let mut all = vec![gid];
    all.extend(groups.lines().filter_map(group_entry).filter(|it| it.has_member(&name)).map(|it| it.gid));
    all.sort_unstable();
    all.dedup();
    Ok(User { name, uid, gid, groups: all })
}

fn find_group(group: &str, groups: &str) -> Result<u32, NetError> {
    let named = groups.lines().filter_map(group_entry).find(|entry| entry.name == group).map(|entry| entry.gid);
    named.or_else(|| group.parse().ok()).ok_or_else(|| NetError::UnknownGroup { name: group.to_owned() })
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

fn account(line: &str) -> Option<Account<'_>> {
    let mut fields = line.split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    Some(Account { name, uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl Group<'_> {
    fn has_member(&self, user: &str) -> bool {
        self.members.split(',').any(|member| member.trim() == user)
    }
}

fn group_entry(line: &str) -> Option<Group<'_>> {
    let mut fields = line.split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    Some(Group { name, gid: fields.next()?.parse().ok()?, members: fields.next().unwrap_or_default() })
}
