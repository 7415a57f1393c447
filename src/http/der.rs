//! The validity of an X.509 certificate, read from its DER (RFC 5280, section 4.1.2.5).
//!
//! rustls verifies certificates but does not tell when they end.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// When a certificate begins and ends to be valid, unix seconds, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Validity {
    pub(in crate::http) not_before: i64,
    pub(in crate::http) not_after: i64,
}

impl Validity {
    pub(in crate::http) fn holds_at(&self, unix_seconds: u64) -> bool {
        i64::try_from(unix_seconds).is_ok_and(|now| (self.not_before..=self.not_after).contains(&now))
    }
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;

pub(in crate::http) fn validity(certificate: &[u8]) -> Option<Validity> {
    let mut outer = certificate;
    let mut certificate = expect(&mut outer, SEQUENCE)?;
    let mut fields = expect(&mut certificate, SEQUENCE)?;
    if fields.first() == Some(&EXPLICIT_VERSION) {
        element(&mut fields)?;
    }
    expect(&mut fields, INTEGER)?; // serial number
    expect(&mut fields, SEQUENCE)?; // signature algorithm
    expect(&mut fields, SEQUENCE)?; // issuer
    let mut validity = expect(&mut fields, SEQUENCE)?;
    Some(Validity { not_before: time(&mut validity)?, not_after: time(&mut validity)? })
}

fn expect<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    element(input).filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
}

fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0_usize, |length, &byte| (length << 8) | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((tag, contents))
}

/// `YYMMDDHHMMSSZ`, where years from 50 on are of the last century, or `YYYYMMDDHHMMSSZ`.
fn time(input: &mut &[u8]) -> Option<i64> {
    let (tag, contents) = element(input)?;
    let text = std::str::from_utf8(contents).ok()?.strip_suffix('Z')?;
    let text = match tag {
        UTC_TIME => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let at = DateTime::strptime("%Y%m%d%H%M%S", &text).ok()?;
    Some(TimeZone::UTC.to_timestamp(at).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_validity_of_a_certificate_is_read_in_both_time_forms() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("parameters");
        params.not_before = rcgen::date_time_ymd(2020, 1, 2);
        params.not_after = rcgen::date_time_ymd(2075, 3, 4);
        let certificate = params.self_signed(&key).expect("a certificate");
        let validity = validity(certificate.der()).expect("a validity");
        assert_eq!(validity, Validity { not_before: 1_577_923_200, not_after: 3_318_883_200 });
        assert!(validity.holds_at(1_577_923_200) && !validity.holds_at(1_577_923_199));
        assert!(validity.holds_at(3_318_883_200) && !validity.holds_at(3_318_883_201));
    }

    #[test]
    fn whatever_is_cut_off_or_no_certificate_gives_nothing() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("parameters");
        let certificate = params.self_signed(&key).expect("a certificate");
        for length in 0..certificate.der().len() {
            assert_eq!(validity(&certificate.der()[..length]), None, "{length}");
        }
        assert_eq!(validity(b"-----BEGIN CERTIFICATE-----"), None);
    }
}
