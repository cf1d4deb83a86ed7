//! Host names in addresses: they are resolved by the system's resolver, again and again, since what a name means
//! changes. What is dialled, and whose way in is kept free, are the IP addresses that came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::timeout;

/// Time between two looks at a name that is known.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Time between two looks while a name is unknown.
const LOOK_SOON: Duration = Duration::from_secs(1);
/// Time for one answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of names that are looked up at once.
const LOOKS_AT_ONCE: usize = 8;
/// Maximum number of IP addresses that count for one name.
const MAX_ADDRESSES_OF_A_NAME: usize = 8;
/// Longest name (RFC 1035, 2.3.4, as text).
const MAX_HOST_NAME_BYTES: usize = 253;

/// The IP addresses of each name that was found, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResolvedNames(BTreeMap<String, Vec<IpAddr>>);

/// The name of an address, if it begins with one.
fn name_of(address: &Multiaddr) -> Option<String> {
    match address.iter().next()? {
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => Some(name.into()),
        _ => None,
    }
}

/// True for what may be asked of a resolver: letters, digits, hyphens, underscores and dots.
pub(crate) fn is_host_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.len() <= MAX_HOST_NAME_BYTES && name.bytes().all(is_plain)
}

/// The names of some addresses.
pub(crate) fn names_of<'a>(addresses: impl Iterator<Item = &'a Multiaddr>) -> BTreeSet<String> {
    addresses.filter_map(name_of).collect()
}

impl ResolvedNames {
    /// An address with an IP address in place of its name: itself if it has none, nothing while its name is unknown.
    fn expand_one(&self, address: &Multiaddr) -> Vec<Multiaddr> {
        let Some(first) = address.iter().next() else {
            return Vec::new();
        };
        let (name, takes_4, takes_6) = match first {
            Protocol::Dns(name) => (name, true, true),
            Protocol::Dns4(name) => (name, true, false),
            Protocol::Dns6(name) => (name, false, true),
            _ => return vec![address.clone()],
        };
        let found = self.0.get(name.as_ref()).into_iter().flatten();
        let fitting = found.filter(|ip| if ip.is_ipv4() { takes_4 } else { takes_6 });
        fitting
            .map(|ip| {
                let host = std::iter::once(Protocol::from(*ip));
                host.chain(address.iter().skip(1)).collect()
            })
            .collect()
    }

    /// Addresses with IP addresses in place of names, in the same order.
    pub(crate) fn expand(&self, addresses: &[Multiaddr]) -> Vec<Multiaddr> {
        let each = addresses.iter();
        each.flat_map(|address| self.expand_one(address)).collect()
    }
}

/// Resolves the names that are wanted until nobody waits for them. A name that is no longer found keeps its addresses.
pub(crate) async fn resolve(
    mut wanted: watch::Receiver<BTreeSet<String>>,
    found: watch::Sender<ResolvedNames>,
) {
    loop {
        let names = wanted.borrow_and_update().clone();
        let answers: Vec<_> = stream::iter(names.iter().cloned())
            .map(|name| async move { (addresses_of(&name).await, name) })
            .buffer_unordered(LOOKS_AT_ONCE)
            .collect()
            .await;
        found.send_if_modified(|known| {
            let before = known.clone();
            known.0.retain(|name, _| names.contains(name));
            for (addresses, name) in answers {
                if !addresses.is_empty() {
                    known.0.insert(name, addresses);
                }
            }
            *known != before
        });
        let is_whole = names.len() == found.borrow().0.len();
        let pause = if is_whole { LOOK_EVERY } else { LOOK_SOON };
        tokio::select! {
            () = found.closed() => return,
            changed = timeout(pause, wanted.changed()) => if matches!(changed, Ok(Err(_))) {
                return;
            },
        }
    }
}

async fn addresses_of(name: &str) -> Vec<IpAddr> {
    let found = match timeout(LOOK_TIMEOUT, lookup_host((name, 0))).await {
        Ok(Ok(found)) => found.map(|address| address.ip().to_canonical()).collect(),
        Ok(Err(error)) => {
            tracing::debug!(name, %error, "a host name is not found");
            BTreeSet::new()
        }
        Err(_) => {
            tracing::debug!(name, "a host name is not resolved in time");
            BTreeSet::new()
        }
    };
    found.into_iter().take(MAX_ADDRESSES_OF_A_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_replaced_by_its_addresses_of_the_right_family() {
        let ips = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let names = ResolvedNames([("a.example".to_owned(), ips.to_vec())].into());
        let expanded = |text| names.expand(&[address(text)]);
        let both = ["/ip4/10.0.0.1/tcp/7", "/ip6/fd00::1/tcp/7"].map(address);
        assert_eq!(expanded("/dns/a.example/tcp/7"), both);
        assert_eq!(expanded("/dns4/a.example/tcp/7"), both[..1]);
        assert_eq!(expanded("/dns6/a.example/tcp/7"), both[1..]);
        assert_eq!(expanded("/dns4/b.example/tcp/7"), []);
        assert_eq!(expanded("/ip4/10.0.0.1/tcp/7"), both[..1]);
    }

    #[test]
    fn names_are_plain_and_bounded() {
        for name in ["localhost", "validator-0", "a_b.example."] {
            assert!(is_host_name(name), "{name}");
        }
        for name in ["", "a b", "a/b", "ä.example", &"a".repeat(254)] {
            assert!(!is_host_name(name), "{name}");
        }
    }

    #[tokio::test]
    async fn wanted_names_are_resolved_and_those_no_longer_wanted_go() {
        let (want, wanted) = watch::channel(BTreeSet::from(["localhost".to_owned()]));
        let (sender, mut found) = watch::channel(ResolvedNames::default());
        let task = tokio::spawn(resolve(wanted, sender));
        let is_local = |names: &ResolvedNames| {
            let expanded = names.expand(&[address("/dns4/localhost/tcp/7")]);
            expanded == [address("/ip4/127.0.0.1/tcp/7")]
        };
        found.wait_for(is_local).await.unwrap();
        want.send(BTreeSet::new()).unwrap();
        found.wait_for(|names| names.0.is_empty()).await.unwrap();
        drop(want);
        task.await.unwrap();
    }
}
