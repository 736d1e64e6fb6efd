use std::thread;

use super::*;
use crate::beat::{readable, wait};
use crate::clock;
use crate::process::is_root;

/// Runs in a network namespace of its own, which ends with the thread.
fn alone(test: &'static str, run: impl FnOnce(&mut Addresses) + Send + 'static) {
    if !is_root() {
        println!("\nSKIPPED {test}: needs root for a network namespace");
        return;
    }
    let inside = move || {
        // SAFETY: the thread shares no descriptors of a namespace with others, and ends with this closure.
        #[allow(unsafe_code)]
        let unshared = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) };
        if let Err(error) = unshared {
            println!("\nSKIPPED {test}: no network namespace to be had: {error}");
            return;
        }
        run(&mut Addresses::open().unwrap());
    };
    thread::spawn(inside).join().unwrap();
}

fn place(addr: &str, prefix: u8) -> Place {
    // The loopback device is the first of every namespace.
    Place { addr: addr.parse().unwrap(), prefix, device: 1 }
}

fn sorted(mut places: Vec<Place>) -> Vec<Place> {
    places.sort_by_key(|place| place.addr);
    places
}

#[test]
fn what_is_held_is_found_by_its_tag_and_can_be_taken_away() {
    alone("what_is_held_is_found_by_its_tag_and_can_be_taken_away", |addresses| {
        let (four, six) = (place("10.8.0.1", 24), place("2001:db8::8", 64));
        for place in [four, six, four] {
            addresses.hold(place, Duration::from_millis(20_500)).unwrap();
        }
        assert_eq!(sorted(addresses.tagged().unwrap()), [four, six]);
        addresses.remove(four).unwrap();
        addresses.remove(four).unwrap();
        assert_eq!(addresses.tagged().unwrap(), [six]);
        let nowhere = Place { device: 99, ..four };
        assert!(addresses.hold(nowhere, Duration::from_secs(1)).is_err());
    });
}

#[test]
fn an_address_that_gets_another_prefix_or_device_is_there_once() {
    alone("an_address_that_gets_another_prefix_or_device_is_there_once", |addresses| {
        let pair = ["link", "add", "other0", "type", "veth", "peer", "name", "other1"];
        let run = std::process::Command::new("ip").args(pair).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let other = addresses.devices().unwrap().into_iter().find(|device| device.name == "other0").unwrap().index;
        let lifetime = Duration::from_secs(60);
        for (addr, prefixes) in [("10.8.0.1", [24, 32, 25]), ("2001:db8::8", [64, 128, 80])] {
            let [first, second, third] = prefixes.map(|prefix| place(addr, prefix));
            addresses.hold(first, lifetime).unwrap();
            let places = [second, first, first, Place { device: other, ..first }, Place { device: other, ..third }];
            let mut before = first;
            for next in places {
                addresses.shift(before, next, lifetime).unwrap();
                assert_eq!(addresses.tagged().unwrap(), [next], "from {before:?}");
                before = next;
            }
            let nowhere = Place { device: 99, ..first };
            assert!(addresses.shift(before, nowhere, lifetime).is_err());
            // As one that the kernel does not take.
            let too_long = Place { prefix: 129, ..before };
            assert!(addresses.shift(before, too_long, lifetime).is_err());
            assert_eq!(addresses.tagged().unwrap(), [before]);
            addresses.remove(before).unwrap();
        }
    });
}

#[test]
fn the_kernel_drops_what_nobody_renews_and_says_so() {
    alone("the_kernel_drops_what_nobody_renews_and_says_so", |addresses| {
        let mut watch = Watch::open().unwrap();
        let (kept, lost) = (place("10.8.0.1", 32), place("10.8.0.2", 32));
        addresses.hold(kept, Duration::from_secs(1)).unwrap();
        addresses.hold(lost, Duration::from_secs(1)).unwrap();
        let deadline = clock::now() + Duration::from_secs(20);
        loop {
            assert!(clock::now() < deadline, "the address stays");
            addresses.hold(kept, Duration::from_secs(1)).unwrap();
            wait(&mut [readable(watch.as_fd())], Duration::from_millis(100)).unwrap();
            let mut is_lost = false;
            while let Some(news) = watch.poll().unwrap() {
                is_lost |= news == News::Removed(lost);
            }
            if is_lost {
                break;
            }
        }
        assert_eq!(addresses.tagged().unwrap(), [kept]);
    });
}

#[test]
fn devices_have_names_and_the_loopback_has_no_ethernet_address() {
    alone("devices_have_names_and_the_loopback_has_no_ethernet_address", |addresses| {
        let devices = addresses.devices().unwrap();
        let loopback = devices.iter().find(|device| device.index == 1).unwrap();
        assert_eq!((loopback.name.as_str(), loopback.mac, loopback.is_up), ("lo", None, false));
    });
}

#[test]
fn the_closest_route_decides_over_device_and_prefix() {
    let mut addresses = Addresses::open().unwrap();
    // Without a route of its own an address goes where the default route leads, or nowhere.
    if let Some(found) = addresses.place_by_route("203.0.113.77".parse().unwrap()).unwrap() {
        assert!(found.device > 0 && found.prefix > 0);
    }
    assert!(wire::share_prefix("10.8.0.1".parse().unwrap(), "10.8.0.200".parse().unwrap(), 24));
    assert!(!wire::share_prefix("10.8.0.1".parse().unwrap(), "10.8.0.200".parse().unwrap(), 25));
    assert!(!wire::share_prefix("10.8.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap(), 0));
    assert!(wire::share_prefix("2001:db8::1".parse().unwrap(), "2001:db8::ffff".parse().unwrap(), 64));
}

#[test]
fn a_port_that_leaves_a_bridge_is_still_a_device() {
    let mut link = LinkMessage::default();
    link.header.index = 7;
    assert!(matches!(news_of(&RouteNetlinkMessage::DelLink(link.clone())), Some(News::DeviceGone(7))));
    link.header.interface_family = AddressFamily::Bridge;
    assert!(news_of(&RouteNetlinkMessage::DelLink(link.clone())).is_none());
    assert!(news_of(&RouteNetlinkMessage::NewLink(link)).is_none());
}

#[test]
fn an_address_is_the_machines_own_by_a_device_or_by_a_route() {
    alone("an_address_is_the_machines_own_by_a_device_or_by_a_route", |addresses| {
        let is_local = |addresses: &mut Addresses, addr: &str| addresses.is_local(addr.parse().unwrap()).unwrap();
        let ip = |words: &str| {
            let run = std::process::Command::new("ip").args(words.split(' ')).output().unwrap();
            assert!(run.status.success(), "{words}: {}", String::from_utf8_lossy(&run.stderr));
        };
        for addr in ["10.8.0.1", "2001:db8::1", "127.0.0.9"] {
            assert!(!is_local(addresses, addr), "{addr}, and nothing is up");
        }
        ip("link set lo up");
        assert!(is_local(addresses, "127.0.0.9"), "no device lists it");
        for (addr, prefix) in [("10.8.0.1", 24), ("2001:db8::1", 64)] {
            addresses.hold(place(addr, prefix), Duration::from_secs(600)).unwrap();
            assert!(is_local(addresses, addr), "{addr}");
            addresses.remove(place(addr, prefix)).unwrap();
            assert!(!is_local(addresses, addr), "{addr}");
        }
        ip("route add local 10.9.0.0/24 dev lo");
        ip("-6 route add local 2001:db8:9::/64 dev lo");
        assert!(is_local(addresses, "10.9.0.7") && is_local(addresses, "2001:db8:9::7"));
        ip("route add unreachable 10.10.0.0/24");
        assert!(!is_local(addresses, "10.10.0.7"));
    });
}
