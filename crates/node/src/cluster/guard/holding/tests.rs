//! What the guard says of addresses that it cannot put anywhere.

use super::*;

#[test]
fn an_address_whose_device_is_still_gone_has_not_failed() {
    let address = Address { addr: [192, 0, 2, 1].into(), prefix: Some(24), device: Some("gone0".to_owned()) };
    let setup = Setup {
        groups: vec![vec![Some(address)]],
        services: Vec::new(),
        nodes: Vec::new(),
        lifetime: Duration::from_secs(1),
        patience: Duration::from_secs(1),
        paths: Vec::new(),
        note: None,
    };
    let mut holding = Holding::on(Addresses::open().unwrap(), HashMap::new(), setup);
    // One that never was there is a mistake in the file.
    assert_eq!(holding.start(Duration::ZERO, 0, 0), Err("there is no device `gone0`".to_owned()));
    assert_eq!(holding.aside(), []);
    assert_eq!(holding.cut_off(&[0]), [Report::CarrierLost { group: 0 }]);
    assert!(holding.start(Duration::ZERO, 0, 0).is_err());
    assert_eq!(holding.aside(), [Report::CarrierLost { group: 0 }]);
}
