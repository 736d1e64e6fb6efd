use super::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

#[test]
fn an_arp_announcement_says_in_both_forms_that_the_address_is_here() {
    let addr = "10.8.0.1".parse().unwrap();
    let request = arp_request(MAC, addr);
    let head = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 8, 6, 0, 1, 8, 0, 6, 4, 0];
    assert_eq!(request.bytes()[..21], head);
    // Request; sender; nobody as the target; the address twice.
    assert_eq!(request.bytes()[21..], [1, 2, 0, 0, 0, 0, 7, 10, 8, 0, 1, 0, 0, 0, 0, 0, 0, 10, 8, 0, 1]);
    let reply = arp_reply(MAC, addr);
    assert_eq!(reply.bytes()[21..], [2, 2, 0, 0, 0, 0, 7, 10, 8, 0, 1, 2, 0, 0, 0, 0, 7, 10, 8, 0, 1]);
}

#[test]
fn claims_are_read_from_both_forms_and_from_nothing_else() {
    let addr: std::net::Ipv4Addr = "10.8.0.1".parse().unwrap();
    for frame in [arp_request(MAC, addr), arp_reply(MAC, addr)] {
        assert_eq!(frame::claim(frame.bytes()), Some((addr.into(), MAC)));
        for length in 0..frame.bytes().len().min(32) {
            assert_eq!(frame::claim(&frame.bytes()[..length]), None);
        }
    }
    let probe = arp_request(MAC, std::net::Ipv4Addr::UNSPECIFIED);
    assert_eq!(frame::claim(probe.bytes()), None);
}

/// An advertisement with these bytes changed, and with the sum that it has then.
fn changed(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = neighbour_advertisement(MAC, "2001:db8::8".parse().unwrap()).bytes().to_vec();
    for (at, byte) in changes {
        bytes[*at] = *byte;
    }
    bytes[56..58].fill(0);
    let mut sum: u32 = bytes[22..].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    sum += 32 + 58;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).unwrap();
    bytes[56..58].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[test]
fn an_advertisement_claims_its_target_for_whom_it_names_if_it_is_valid() {
    let addr: IpAddr = "2001:db8::8".parse().unwrap();
    let whole = changed(&[]);
    assert_eq!(whole, neighbour_advertisement(MAC, "2001:db8::8".parse().unwrap()).bytes());
    assert_eq!(frame::claim(&whole), Some((addr, MAC)));
    for length in 0..whole.len() {
        assert_eq!(frame::claim(&whole[..length]), None, "{length} bytes");
    }
    // Ethernet fills short frames up.
    assert_eq!(frame::claim(&[&whole[..], &[0; 9]].concat()), Some((addr, MAC)));
    // By whom it came, where the option is of another kind.
    assert_eq!(frame::claim(&changed(&[(78, 1), (11, 9)])), Some((addr, [2, 0, 0, 0, 0, 9])));
    let cases = [
        ("another hop limit", &[(21, 254)][..]),
        ("another header", &[(20, 0)]),
        ("another version", &[(14, 0x40)]),
        ("a solicitation", &[(54, 135)]),
        ("another code", &[(55, 1)]),
        ("solicited, and to all", &[(58, 0x60)]),
        ("a target that is a group", &[(62, 0xff)]),
        ("an option without a length", &[(79, 0)]),
        ("an option that is too long", &[(79, 2)]),
        ("another protocol", &[(12, 0x08), (13, 0x00)]),
    ];
    for (what, changes) in cases {
        assert_eq!(frame::claim(&changed(changes)), None, "{what}");
    }
    let mut wrong = whole;
    wrong[56] ^= 1;
    assert_eq!(frame::claim(&wrong), None, "another sum");
}

#[test]
fn a_neighbour_advertisement_has_the_sum_that_receivers_compute() {
    let frame = neighbour_advertisement(MAC, "2001:db8::8".parse().unwrap());
    let bytes = frame.bytes();
    assert_eq!(bytes.len(), 14 + 40 + 32);
    assert_eq!(bytes[..14], [0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 7, 0x86, 0xdd]);
    // The sum over pseudo-header and message, its own field included, is all ones (RFC 1071).
    let mut sum: u32 = bytes[22..54]
        .chunks(2)
        .chain(bytes[54..].chunks(2))
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    sum += 32 + 58;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    assert_eq!(sum, 0xffff);
}
