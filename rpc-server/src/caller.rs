//! Who a request comes from, as far as places and shares are concerned.

use std::net::IpAddr;

use axum::http::HeaderMap;
use types::hash::Address;

/// The header in which a proxy says for whom it asks; each proxy on the way adds an address at its end.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// An address as shares are counted: an IPv4 address, or the /64 network that one IPv6 host is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientAddress(IpAddr);

impl ClientAddress {
    pub(crate) fn new(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// Whose share something is counted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Caller {
    /// Whoever a host passes requests on for. It is not known here who that is.
    Host,
    /// Whoever is at an address.
    At(ClientAddress),
    /// Who signed the request: a bonded partner or a customer of a live job.
    Party(Address),
}

/// For whom a proxy asks: the last address that the headers name, since earlier ones are the client's own word.
pub(crate) fn forwarded(headers: &HeaderMap) -> Option<ClientAddress> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?;
    let text = last.to_str().ok()?.rsplit(',').next()?.trim();
    let address = text.parse::<IpAddr>().ok();
    // Some proxies add the port.
    let address = address.or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()));
    address.map(ClientAddress::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> ClientAddress {
        ClientAddress::new(text.parse().unwrap())
    }

    #[test]
    fn addresses_of_one_host_are_one() {
        assert_eq!(at("2001:db8::1"), at("2001:db8::2:3:4:5"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
        assert_ne!(at("2001:db8:0:1::1"), at("2001:db8:0:2::1"));
        assert_ne!(at("10.0.0.1"), at("10.0.0.2"));
    }

    #[test]
    fn a_proxy_is_believed_the_last_address_only() {
        let mut headers = HeaderMap::new();
        assert_eq!(forwarded(&headers), None);
        headers.append(FORWARDED_FOR, "10.0.0.9".parse().unwrap());
        headers.append(FORWARDED_FOR, "10.0.0.1, 10.0.0.2".parse().unwrap());
        assert_eq!(forwarded(&headers), Some(at("10.0.0.2")));
        headers.append(FORWARDED_FOR, "10.0.0.3:4711".parse().unwrap());
        assert_eq!(forwarded(&headers), Some(at("10.0.0.3")));
        headers.append(FORWARDED_FOR, "unknown".parse().unwrap());
        assert_eq!(forwarded(&headers), None);
    }
}
