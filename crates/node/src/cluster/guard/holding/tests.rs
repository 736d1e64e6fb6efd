//! What the guard makes of addresses that it cannot put anywhere, or that get another place.

use super::super::super::hand::Arrangement;
use super::*;

fn address(prefix: u8, device: &str) -> Option<Address> {
    Some(Address { addr: [192, 0, 2, 1].into(), prefix: Some(prefix), device: Some(device.to_owned()) })
}

/// With one group of one address.
fn holding(address: Option<Address>) -> Holding {
    let setup = Setup {
        groups: vec![vec![address]],
        services: Vec::new(),
        nodes: Vec::new(),
        lifetime: Duration::from_secs(1),
        patience: Duration::from_secs(1),
        paths: Vec::new(),
        note: None,
    };
    Holding::on(Addresses::open().unwrap(), HashMap::new(), setup)
}

#[test]
fn an_address_that_gets_another_place_by_a_reload_goes_there_or_stays() {
    let mut holding = holding(address(25, "lo"));
    let first = holding.find(&address(25, "lo").unwrap()).unwrap();
    // Withdrawn, so that this machine does not get it.
    holding.groups[0].is_withdrawn = true;
    holding.groups[0].held[0].as_mut().unwrap().place = Some(first);
    let mut reload = |groups: Vec<Option<Address>>| {
        holding.arrange(Duration::ZERO, Arrangement { groups: vec![groups], origins: vec![Some(0)] });
        let held = holding.groups[0].held.iter().flatten().map(|held| (held.place, held.home.clone()));
        (held.collect::<Vec<_>>(), holding.aside())
    };
    let second = Place { prefix: 24, ..first };
    let there = |place: Place| (vec![(Some(place), Some("lo".to_owned()))], Vec::new());
    assert_eq!(reload(vec![address(24, "lo")]), there(second));
    assert_eq!(reload(vec![address(24, "lo")]), there(second));
    let stays = Report::Stays { group: 0, addr: first.addr, cause: "there is no device `gone0`".to_owned() };
    // It is tried again by each reload.
    for _ in 0..2 {
        assert_eq!(reload(vec![address(24, "gone0")]), (there(second).0, vec![stays.clone()]));
    }
    assert_eq!(reload(vec![address(25, "lo")]), there(first));
    assert_eq!(reload(vec![None]).0, []);
}

#[test]
fn an_address_that_had_to_stay_goes_to_its_device_once_that_is_up() {
    let mut holding = holding(address(24, "lo"));
    let place = holding.find(&address(24, "lo").unwrap()).unwrap();
    // Withdrawn, so that this machine does not get it.
    holding.groups[0].is_withdrawn = true;
    holding.groups[0].held[0].as_mut().unwrap().place = Some(place);
    let mut device = Device { index: u32::MAX, name: "later0".to_owned(), mac: None, is_up: false };
    holding.device(Duration::ZERO, device.clone());
    holding.arrange(Duration::ZERO, Arrangement { groups: vec![vec![address(24, "later0")]], origins: vec![Some(0)] });
    assert!(matches!(holding.aside().as_slice(), [Report::Stays { cause, .. }] if cause.contains("is down")));
    let now = |holding: &Holding| holding.groups[0].held[0].as_ref().unwrap().place;
    assert_eq!(now(&holding), Some(place));
    device.is_up = true;
    holding.device(Duration::ZERO, device);
    assert_eq!((now(&holding), holding.aside()), (Some(Place { device: u32::MAX, ..place }), Vec::new()));
}

#[test]
fn an_address_whose_device_is_still_gone_has_not_failed() {
    let mut holding = holding(address(24, "gone0"));
    // One that never was there is a mistake in the file.
    assert_eq!(holding.start(Duration::ZERO, 0, 0), Err("there is no device `gone0`".to_owned()));
    assert_eq!(holding.aside(), []);
    assert_eq!(holding.cut_off(&[0]), [Report::CarrierLost { group: 0 }]);
    assert!(holding.start(Duration::ZERO, 0, 0).is_err());
    assert_eq!(holding.aside(), [Report::CarrierLost { group: 0 }]);
}
