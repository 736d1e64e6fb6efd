//! What pages tell, however they are cut.

use evenkeel_model::caps;
use proptest::prelude::*;

use super::*;

const ID: &str = "a1B2c3D4e5";

/// That this page tells `ID` and nothing else.
#[track_caller]
fn tells(page: &str) {
    assert_eq!(found(page), [ID], "{page}");
}

#[track_caller]
fn tells_nothing(page: &str) {
    assert_eq!(found(page), [""; 0], "{page}");
}

#[test]
fn links_and_forms_of_the_page_s_own_site_are_read() {
    for page in [
        "<a href=\"/cart?sid=a1B2c3D4e5\">",
        "<a href='/cart?sid=a1B2c3D4e5'>",
        "<a href=/cart?sid=a1B2c3D4e5>",
        "<a class=x href=cart?sid=a1B2c3D4e5 id=y>",
        "<a class=\"x\" href=cart?a=b&sid=a1B2c3D4e5>",
        "<A HREF = \"?sid=a1B2c3D4e5\">",
        "<a href=\"?sid=a1B2c3D4e5#top\">",
        "<a href=\"?sid=a1B2c3D4e5&amp;x=1\">",
        "<a href=\"?x=1&sid=a1B2c3D4e5\">",
        "<a href=\"?x=1&amp;sid=a1B2c3D4e5\">",
        "<a href=\"?x=1&#38;sid=a1B2c3D4e5\">",
        "<a href=\"?x=1&#038;sid=a1B2c3D4e5\">",
        "<a href=\"?x=1&#x26;sid=a1B2c3D4e5\">",
        "<a href=\"?x=1;sid=a1B2c3D4e5\">",
        "<a href=\"http://shop.example.com/?sid=a1B2c3D4e5\">",
        "<a href=\"HTTPS://SHOP.example.com:8443/?sid=a1B2c3D4e5\">",
        "<a href=\"https://www.shop.example.com?sid=a1B2c3D4e5\">",
        "<a href=\"//shop.example.com/x?sid=a1B2c3D4e5\">",
        "<a href=\"http:&#x2F;&#x2F;shop.example.com/?sid=a1B2c3D4e5\">",
        "<a href=\"http://user@shop.example.com/?sid=a1B2c3D4e5\">",
        "<a href=\"/a?sid=%611B2c3D4e5\">",
        "<a href=\"/a?sid=a1B2&#99;3D4e5\">",
        "<a href=\"/with blank/x?sid=a1B2c3D4e5\">",
        "<a href=\"/it's/x?sid=a1B2c3D4e5\">",
        "<a href=\"/cart;jsessionid=a1B2c3D4e5\">",
        "<a href=\"/cart;jsessionid=a1B2c3D4e5/deep?x=1\">",
        "<a href=\"/cart;jsessionid=a1B2c3D4e5;x\">",
        "<form method=post action=\"/pay?sid=a1B2c3D4e5\">",
        "<meta http-equiv=refresh content=\"0; url=/next?sid=a1B2c3D4e5\">",
        "<meta http-equiv=refresh content=\"5;URL='http://shop.example.com/next?sid=a1B2c3D4e5'\">",
        "<div style=\"background: url(/i.png?sid=a1B2c3D4e5)\">",
        "<script>go(\"\\/x?y=1\\u0026sid=a1B2c3D4e5\")</script>",
        "<script>var u = '/x?y=1\\x26sid=a1B2c3D4e5';</script>",
        "<a onclick=\"location='/x?sid=a1B2c3D4e5'\">",
        "<!-- <a href=\"/x?sid=a1B2c3D4e5\"> -->",
        "see /x?sid=a1B2c3D4e5",
        "<a href=\"\n/x?sid=a1B2c3D4e5\n\">",
    ] {
        tells(page);
    }
}

#[test]
fn hidden_inputs_are_read_in_any_order_and_spelling() {
    for page in [
        "<input type=hidden name=sid value=a1B2c3D4e5>",
        "<input type=\"hidden\" name=\"sid\" value=\"a1B2c3D4e5\" />",
        "<INPUT VALUE='a1B2c3D4e5' NAME='sid' TYPE='HIDDEN'>",
        "<input\nvalue = \"a1B2c3D4e5\"\n name = \"sid\"\n type = \"hidden\"\n>",
        "<input data-x='<b>' type=hidden name=sid value=a1B2c3D4e5>",
        "<input type=hidden name=sid value=\"a1B2&#99;3D4e5\">",
        "<input type=hidden name=PHPSESSID value=a1B2c3D4e5 checked>",
    ] {
        // The second `<` of a quoted attribute hides the tag from a search backwards: one that is given up for.
        if page.contains("'<b>'") {
            tells_nothing(page);
        } else {
            tells(page);
        }
    }
    for page in [
        "<input type=text name=sid value=a1B2c3D4e5>",
        "<input type=hidden name=side value=a1B2c3D4e5>",
        "<input type=hidden name=other value=a1B2c3D4e5 id=sid>",
        "<input type=hidden name=jsessionid value=a1B2c3D4e5>",
        "<inputs type=hidden name=sid value=a1B2c3D4e5>",
        "<input type=hidden name=sid value=a1B2c3D4e5",
        "<input type=hidden name=sid>",
        "<p name=\"sid\" type=hidden value=a1B2c3D4e5>",
    ] {
        tells_nothing(page);
    }
}

#[test]
fn what_leads_elsewhere_or_is_no_id_is_left_alone() {
    for page in [
        "<a href=\"http://other.example/?sid=a1B2c3D4e5\">",
        "<a href=\"//other.example/?sid=a1B2c3D4e5\">",
        "<a href=\"\\\\other.example\\?sid=a1B2c3D4e5\">",
        "<a href=\"http:\\\\other.example/?sid=a1B2c3D4e5\">",
        "<a href=\"http://shop.example.com@other.example/?sid=a1B2c3D4e5\">",
        "<a href=\"http://shop.example.com.other.example/?sid=a1B2c3D4e5\">",
        "<a href=\"http&#58;//other.example/?sid=a1B2c3D4e5\">",
        "<a href=\"ht\ntp://other.example/?sid=a1B2c3D4e5\">",
        "<a href=\"javascript:go?sid=a1B2c3D4e5\">",
        "<a href=\"mailto:x?sid=a1B2c3D4e5\">",
        "<meta http-equiv=refresh content=\"0; url=http://other.example/?sid=a1B2c3D4e5\">",
        "<a href=\"/x?ssid=a1B2c3D4e5\">",
        "<a href=\"/x?side=a1B2c3D4e5\">",
        "<a href=\"/x?SID=a1B2c3D4e5\">",
        "<a href=\"/x/sid=a1B2c3D4e5\">",
        "<a href=\"/x;sid=a1B2c3D4e5\">",
        "<a href=\"/x?jsessionid=a1B2c3D4e5\">",
        "<a href=\"/x?sid=short\">",
        "<a href=\"/x?sid=\">",
        "<a href=\"/x?sid=a1B2c3D4e5%00\">",
        "<a href=\"/x?sid=a1B2c3D4e5%zz\">",
        "<a href=\"/x?a&section=1&sidebar=a1B2c3D4e5\">",
        "",
        "sid",
        "?sid=",
    ] {
        tells_nothing(page);
    }
}

#[test]
fn the_first_base_says_where_relative_links_lead() {
    tells("<base href=\"http://shop.example.com/deep/\"><a href=\"x?sid=a1B2c3D4e5\">");
    tells("<BASE target=_top href='/deep/'><a href=\"x?sid=a1B2c3D4e5\">");
    tells_nothing("<base href=\"//other.example/\"><a href=\"x?sid=a1B2c3D4e5\">");
    tells_nothing("<base href='//other.example/'><base href=/ ><a href=\"/x?sid=a1B2c3D4e5\">");
    tells("<base href='//other.example/'><a href=\"http://shop.example.com/x?sid=a1B2c3D4e5\">");
    tells("<base target=_top><base href=/ ><a href=\"x?sid=a1B2c3D4e5\">");
    tells("<basefont href=//other.example><a href=\"x?sid=a1B2c3D4e5\">");
}

#[test]
fn several_ids_are_told_once_each_and_not_without_end() {
    let link = |id: usize| format!("<a href=\"/?sid=session-{id:04}\">");
    let page: String = [1, 2, 1, 3, 2].map(link).concat();
    assert_eq!(found(&page), ["session-0001", "session-0002", "session-0003"]);
    let planted: String = (0..40).map(link).collect();
    assert_eq!(scan([planted.as_bytes()]).len(), TOLD);
}

#[test]
fn a_page_made_of_finds_costs_few_looks() {
    let looks = |page: &str, size: usize| {
        let (names, mut scanner, mut told) = (names(), Scanner::new(own()), 0);
        page.as_bytes().chunks(size).for_each(|piece| scanner.feed(&names, piece, &mut |_| told += 1));
        scanner.finish(&names, &mut |_| told += 1);
        (scanner.page.looks, told)
    };
    let own_link = "<a href=\"/?sid=a1B2c3D4e5\">";
    let foreign = |id: usize| format!("<a href=\"//other.example/?sid=session-{id:05}\">");
    for size in [70, 700, 4096, usize::MAX] {
        // Nothing that may be an id follows, or the same one again and again.
        assert_eq!(looks(&format!("<a href=\"/?{}", "&sid=".repeat(5000)), size), (0, 0), "{size}");
        assert_eq!(looks(&"sid ".repeat(5000), size), (0, 0), "{size}");
        assert_eq!(looks(&own_link.repeat(2000), size), (1, 1), "{size}");
        assert_eq!(looks(&format!("<base href=/>{}", "<base ".repeat(5000)), size), (1, 0), "{size}");
        // A list of links to elsewhere is looked through, and not without end.
        for (links, expected) in [(300, (301, 1)), (2000, (caps::PAGE_LOOKS, 0))] {
            let page: String = (0..links).map(foreign).chain([own_link.to_owned()]).collect();
            assert_eq!(looks(&page, size), expected, "{links} links in pieces of {size}");
        }
    }
}

#[test]
fn ids_have_bounds_of_length() {
    let page = |length: usize| format!("<a href=\"/?sid={}\">", "x".repeat(length));
    for (length, is_told) in [(7, false), (8, true), (128, true), (129, false), (3000, false)] {
        assert_eq!(!scan([page(length).as_bytes()]).is_empty(), is_told, "{length}");
    }
    let escaped = format!("<a href=\"/?sid={}\">", "%78".repeat(128));
    assert_eq!(scan([escaped.as_bytes()]), ["x".repeat(128)]);
}

#[test]
fn a_link_longer_than_any_program_writes_is_not_read() {
    let page = |length: usize| format!("<a href=\"/{}?sid=a1B2c3D4e5\">", "x".repeat(length));
    for (length, is_told) in [(1500, true), (2100, false)] {
        assert_eq!(scan([page(length).as_bytes()]).len(), usize::from(is_told), "{length}");
        assert_eq!(scan(page(length).as_bytes().chunks(700)).len(), usize::from(is_told), "{length}");
    }
}

#[test]
fn only_the_beginning_of_a_body_is_searched() {
    let link = "<a href=\"/?sid=a1B2c3D4e5\">";
    for (blanks, is_told) in [(SEARCHED - link.len(), true), (SEARCHED - link.len() + 3, false), (SEARCHED, false)] {
        let page = format!("{}{link}", " ".repeat(blanks));
        for size in [1000, 4096, 70_000, usize::MAX] {
            assert_eq!(scan(page.as_bytes().chunks(size)).len(), usize::from(is_told), "{blanks} {size}");
        }
    }
}

#[test]
fn an_id_is_told_before_the_byte_behind_it_has_passed() {
    let (names, mut scanner) = (names(), Scanner::new(own()));
    let mut told = Vec::new();
    scanner.feed(&names, b"<a href=\"/?sid=a1B2c3D4e5", &mut |id| told.push(id.to_vec()));
    assert!(told.is_empty(), "it may go on");
    scanner.feed(&names, b"\"", &mut |id| told.push(id.to_vec()));
    assert_eq!(told, [ID.as_bytes()]);
}

/// Text that is much like pages are, ids and traps included.
fn page() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("<a href=\"".to_owned()),
        Just("<a href=".to_owned()),
        Just("'".to_owned()),
        Just("\"".to_owned()),
        Just(">".to_owned()),
        Just("<input type=hidden name=".to_owned()),
        Just(" value=".to_owned()),
        Just("<base href=\"".to_owned()),
        Just("http://shop.example.com/".to_owned()),
        Just("//other.example/".to_owned()),
        Just("?sid=".to_owned()),
        Just("&amp;PHPSESSID=".to_owned()),
        Just("&#38;sid=".to_owned()),
        Just(";jsessionid=".to_owned()),
        Just("sid".to_owned()),
        Just("<bas".to_owned()),
        Just("%61".to_owned()),
        Just("&#9".to_owned()),
        "[ab]{8,12}",
        "[ -~]{0,12}",
        " {1,40}".prop_map(|blanks| blanks.repeat(60)),
        "x{1,40}".prop_map(|text| text.repeat(60)),
    ];
    proptest::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_cut_of_a_page_tells_the_same(page in page(), cuts in proptest::collection::vec(1..3000_usize, 1..12)) {
        let whole = scan([page.as_bytes()]);
        let mut pieces = Vec::new();
        let mut rest = page.as_bytes();
        for size in cuts.iter().cycle().take(10_000) {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&scan(pieces), &whole);
        prop_assert_eq!(scan(page.as_bytes().chunks(1)), whole);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500), size in 1..100_usize) {
        let page = [b"<a href=\"?sid=".as_slice(), &bytes].concat();
        let (names, mut scanner) = (names(), Scanner::new(own()));
        page.chunks(size).for_each(|piece| scanner.feed(&names, piece, &mut |_| {}));
        scanner.finish(&names, &mut |_| {});
    }

    /// The id that a link carries is the one that the request brings which follows the link.
    #[test]
    fn the_request_that_follows_a_link_has_the_id_that_was_told(id in "[A-Za-z0-9._~+/=!@:-]{8,40}", escapes in any::<u64>()) {
        let mut written = String::new();
        for (at, byte) in id.bytes().enumerate() {
            match escapes >> (at % 64) & 1 {
                0 => written.push(char::from(byte)),
                _ => written.push_str(&format!("%{byte:02x}")),
            }
        }
        let page = format!("<a href=\"/x?sid={written}\">");
        let mut asked = Vec::new();
        let query = format!("a=1&sid={written}");
        prop_assert!(id::in_query(query.as_bytes(), b"sid", &mut asked));
        prop_assert_eq!(&asked, id.as_bytes());
        prop_assert_eq!(scan([page.as_bytes()]), [id]);
    }
}
