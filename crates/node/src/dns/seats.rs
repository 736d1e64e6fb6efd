//! Places for connections over TCP: who gets one, and who gives one up for whoever comes after.
//!
//! A connection counts as quiet since the last message that it brought or took. The invariant: what one client holds is
//! bounded, and whoever has nothing to say never keeps out a new one.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use evenkeel_model::config::DnsTcp;
use tokio::sync::Notify;

/// All places that are taken.
#[derive(Debug, Default)]
pub(super) struct Seats {
    /// By the number of their last message: the first was quiet longest.
    taken: BTreeMap<u64, Seat>,
    clients: HashMap<IpAddr, u32>,
    /// The number of the next message.
    next: u64,
}

#[derive(Debug)]
struct Seat {
    client: IpAddr,
    leave: Rc<Notify>,
}

/// A place that was given.
#[derive(Debug)]
pub(super) struct Given {
    /// Its number until the next message.
    pub(super) number: u64,
    /// Rings when somebody else gets it.
    pub(super) leave: Rc<Notify>,
}

impl Seats {
    /// Gives a place to a connection of this client; past the bound of all, that of the connection that was quiet longest.
    /// `None` where the client has its share.
    pub(super) fn take(&mut self, client: IpAddr, bounds: &DnsTcp) -> Option<Given> {
        if self.clients.get(&client).is_some_and(|own| *own >= bounds.per_client) {
            return None;
        }
        while u32::try_from(self.taken.len()).is_ok_and(|count| count >= bounds.conns) {
            let number = *self.taken.first_key_value()?.0;
            if let Some(quiet) = self.remove(number) {
                quiet.leave.notify_one();
            }
        }
        let own = self.clients.entry(client).or_insert(0);
        *own = own.saturating_add(1);
        let leave = Rc::new(Notify::new());
        let number = self.number();
        self.taken.insert(number, Seat { client, leave: Rc::clone(&leave) });
        Some(Given { number, leave })
    }

    /// Notes a message of a connection. Gives its new number; the old one where it has no place any more.
    pub(super) fn heard(&mut self, number: u64) -> u64 {
        let Some(seat) = self.taken.remove(&number) else { return number };
        let next = self.number();
        self.taken.insert(next, seat);
        next
    }

    /// Takes a place back, where it was not given away before.
    pub(super) fn leave(&mut self, number: u64) {
        self.remove(number);
    }

    fn remove(&mut self, number: u64) -> Option<Seat> {
        let seat = self.taken.remove(&number)?;
        if let Some(own) = self.clients.get_mut(&seat.client) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                self.clients.remove(&seat.client);
            }
        }
        Some(seat)
    }

    fn number(&mut self) -> u64 {
        self.next = self.next.wrapping_add(1);
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Whether somebody else got the place.
    fn is_given_away(seats: &Seats, given: &Given) -> bool {
        !seats.taken.contains_key(&given.number)
    }

    #[test]
    fn the_quietest_makes_room_and_a_share_is_a_share() {
        let bounds = DnsTcp { per_client: 2, conns: 3, ..DnsTcp::default() };
        let mut seats = Seats::default();
        let mut first = seats.take(client(1), &bounds).unwrap();
        let second = seats.take(client(1), &bounds).unwrap();
        assert!(seats.take(client(1), &bounds).is_none(), "a third one of the same client");
        let third = seats.take(client(2), &bounds).unwrap();
        // The first one says something: now the second is quiet longest.
        first.number = seats.heard(first.number);
        let fourth = seats.take(client(3), &bounds).unwrap();
        let away = [&first, &second, &third, &fourth].map(|given| is_given_away(&seats, given));
        assert_eq!(away, [false, true, false, false]);
        // Whoever lost its place changes nothing by speaking or leaving, and its client may come again.
        assert_eq!(seats.heard(second.number), second.number);
        seats.leave(second.number);
        assert_eq!(seats.taken.len(), 3);
        let again = seats.take(client(1), &bounds).unwrap();
        assert!(is_given_away(&seats, &third) && !is_given_away(&seats, &again));
        // A reload with narrower bounds holds for the next one.
        seats.take(client(4), &DnsTcp { conns: 1, ..bounds }).unwrap();
        assert_eq!((seats.taken.len(), seats.clients.len()), (1, 1));
    }
}
