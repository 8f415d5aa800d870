//! How many connections one client's address has: an address of IPv4, or a network of IPv6 with a prefix
//! of 64 bits, which is what one customer is given.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Parts, each behind a lock of its own: workers accept at the same time.
const PARTS: usize = 16;

/// Connections by address. Only addresses that have one are in it.
#[derive(Debug)]
pub struct PerAddress {
    max: u32,
    parts: [Mutex<HashMap<u128, u32, foldhash::fast::RandomState>>; PARTS],
}

/// One connection of an address, until it is dropped.
#[derive(Debug)]
pub struct AddressPlace {
    home: Arc<PerAddress>,
    address: u128,
}

// === impl PerAddress ===

impl PerAddress {
    /// So many for each.
    pub fn new(max: u32) -> Arc<Self> {
        Arc::new(Self {
            max,
            parts: Default::default(),
        })
    }

    /// One more of an address, if it may have one more.
    pub fn take(self: &Arc<Self>, ip: IpAddr) -> Option<AddressPlace> {
        let address = key(ip);
        let mut part = self.part(address);
        let count = part.entry(address).or_insert(0);
        if *count >= self.max {
            return None;
        }
        *count += 1;
        drop(part);
        Some(AddressPlace {
            home: Arc::clone(self),
            address,
        })
    }

    fn part(
        &self,
        address: u128,
    ) -> MutexGuard<'_, HashMap<u128, u32, foldhash::fast::RandomState>> {
        let part = crate::base::chance::mix((address >> 64) as u64 ^ address as u64) as usize;
        // A count can't be left half changed.
        self.parts[part % PARTS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        // Below all networks of IPv6 that there are.
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip) >> 64 << 64,
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut part = self.home.part(self.address);
        if let Some(count) = part.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                part.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_so_many_and_a_network_of_ipv6_is_one() {
        let addresses = PerAddress::new(2);
        let take = |text: &str| addresses.take(text.parse().expect("an address"));
        let held = [take("127.0.0.1"), take("::ffff:127.0.0.1")];
        assert!(held.iter().all(Option::is_some));
        assert!(take("127.0.0.1").is_none());
        let other = [
            take("127.0.0.2"),
            take("2001:db8::1"),
            take("2001:db8::ffff:1"),
        ];
        assert!(other.iter().all(Option::is_some));
        assert!(take("2001:db8::2").is_none());
        assert!(take("2001:db8:0:1::2").is_some());
        drop(held);
        assert!(take("127.0.0.1").is_some());
        drop(other);
        let left: usize = addresses
            .parts
            .iter()
            .map(|part| part.lock().expect("whole").len())
            .sum();
        assert_eq!(left, 0);
    }
}
