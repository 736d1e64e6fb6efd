use std::process::Command;
use std::thread;

use super::*;

#[test]
fn a_path_carries_datagrams_both_ways_and_a_dead_peer_stops_nothing() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let one = Path::open(any, Vec::new()).unwrap();
    let dead = Path::open(any, Vec::new()).unwrap().own_addr().unwrap();
    let other = Path::open(any, vec![dead, one.own_addr().unwrap()]).unwrap();
    for round in 0..5_u8 {
        other.send(&[round; 40]);
        wait(&mut one.sockets().map(readable).collect::<Vec<_>>(), Duration::from_secs(5)).unwrap();
        let mut buffer = [0; 64];
        let (length, from) = one.receive(&mut buffer).unwrap();
        assert_eq!((length, from), (40, any.ip()));
        assert_eq!(buffer[0], round);
    }
    assert!(one.receive(&mut [0; 8]).is_none());
}

/// Runs in a network namespace of its own, which ends with the thread.
fn alone(test: &'static str, run: impl FnOnce() + Send + 'static) {
    if !crate::process::is_root() {
        println!("\nSKIPPED {test}: needs root for a network namespace");
        return;
    }
    let inside = move || {
        // SAFETY: the thread shares no descriptors of a namespace with others, and ends with this closure.
        #[allow(unsafe_code)]
        let unshared = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) };
        match unshared {
            Ok(()) => run(),
            Err(error) => println!("\nSKIPPED {test}: no network namespace to be had: {error}"),
        }
    };
    thread::spawn(inside).join().unwrap();
}

fn ip(line: &str) {
    let run = Command::new("ip").args(line.split(' ')).output().unwrap();
    assert!(run.status.success(), "ip {line}: {}", String::from_utf8_lossy(&run.stderr));
}

/// A device with that address, and its other end.
fn plug(name: &str, addr: &str) {
    ip(&format!("link add {name} type veth peer name {name}-end"));
    ip(&format!("link set {name} up"));
    ip(&format!("link set {name}-end up"));
    let nodad = if addr.contains(':') { " nodad" } else { "" };
    ip(&format!("addr add {addr} dev {name}{nodad}"));
}

/// Whether what the path says to all comes back to it, as it does to each that has joined on the device.
fn hears_itself(path: &Path) -> bool {
    path.send(b"to all");
    let mut buffer = [0; 64];
    wait(&mut path.sockets().map(readable).collect::<Vec<_>>(), Duration::from_secs(2)).unwrap();
    std::iter::from_fn(|| path.receive(&mut buffer)).next().is_some()
}

#[test]
fn a_group_is_heard_on_the_device_of_the_own_address_also_when_that_is_made_anew() {
    let test = "a_group_is_heard_on_the_device_of_the_own_address_also_when_that_is_made_anew";
    alone(test, || {
        // Another device first, which the kernel would take by itself.
        plug("wrong", "fd99::1/64");
        let cases = [("10.8.0.1", "24", "239.192.0.94"), ("fd08::1", "64", "ff02::94"), ("fd08::1", "64", "ff15::94")];
        for (number, (own, prefix, group)) in cases.into_iter().enumerate() {
            let (own, group): (IpAddr, IpAddr) = (own.parse().unwrap(), group.parse().unwrap());
            let (at, to) = (SocketAddr::new(own, 6940), SocketAddr::new(group, 6940));
            let device = format!("right{number}");
            // There is no device with the address yet.
            let mut path = Path::open(at, vec![to]).unwrap();
            Path::hear_all(std::slice::from_mut(&mut path), 0, to).unwrap();
            let mut early = path.membership().unwrap().unwrap();
            assert!(early.renew().is_err() && early.is_lost(), "{own}");
            plug(&device, &format!("{own}/{prefix}"));
            early.renew().unwrap();
            assert!(Path::open(at, vec![to]).is_err(), "{own}: the port is taken");
            assert!(hears_itself(&path), "{group}");

            let mut watch = crate::addresses::Watch::open().unwrap();
            let mut membership = path.membership().unwrap().unwrap();
            membership.renew().unwrap();
            assert!(hears_itself(&path), "{group}: joined twice");
            ip(&format!("link del {device}"));
            plug(&device, &format!("{own}/{prefix}"));
            assert!(!hears_itself(&path), "{group}: the kernel forgets");
            let mut is_due = false;
            while let Some(news) = watch.poll().unwrap() {
                is_due |= membership.follow(&news);
            }
            assert!(is_due && membership.is_lost(), "{group}");
            membership.renew().unwrap();
            assert!(!membership.is_lost() && hears_itself(&path), "{group}");
            ip(&format!("link del {device}"));
            assert!(membership.renew().is_err() && membership.is_lost(), "{group}");
        }
    });
}

#[test]
fn a_group_is_heard_beside_paths_on_other_networks() {
    alone("a_group_is_heard_beside_paths_on_other_networks", || {
        plug("one", "fd08::1/64");
        plug("two", "fd09::1/64");
        let own: [SocketAddr; 2] = ["[fd08::1]:6940", "[fd09::1]:6940"].map(|addr| addr.parse().unwrap());
        let to: SocketAddr = "[ff15::94]:6940".parse().unwrap();
        for heard in [vec![0], vec![1], vec![0, 1]] {
            let peers = |path| if heard.contains(&path) { vec![to] } else { Vec::new() };
            let mut paths: Vec<Path> =
                own.iter().enumerate().map(|(path, own)| Path::open(*own, peers(path)).unwrap()).collect();
            heard.iter().for_each(|path| Path::hear_all(&mut paths, *path, to).unwrap());
            assert!(heard.iter().all(|path| hears_itself(&paths[*path])), "{heard:?}");
            assert!(own.iter().all(|own| Path::open(*own, Vec::new()).is_err()), "{heard:?}: the port is taken");
        }
    });
}
