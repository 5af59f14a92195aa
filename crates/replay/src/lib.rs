//! Plays one side of a recorded connection to a program, as the captured peer did.
//!
//! A [`Recording`] comes from [dumps](read_dumps) or, by a [`Taker`], out of a capture. A [`Script`] is what one of its
//! sides does, step by step, and what it waits for. A [`Player`] goes through it: it is told what comes and what time
//! it is, and tells what is to be sent; it does no I/O. [`run`] does, with any number of players at once.
//!
//! ```
//! use flow::Side;
//! use replay::{Ending, Fill, HalfClose, Next, Pace, PeerEnd, Player, Recording, Rules, Script, Transport};
//! use std::{sync::Arc, time::Duration};
//!
//! let mut telnet = Recording::new("telnet", Transport::Tcp);
//! telnet.push_data(Side::One, 0, b"$ ");
//! telnet.push_data(Side::Zero, 0, b"exit\n");
//!
//! let rules = Arc::new(Rules::default());
//! let server = Script::new(Arc::new(telnet), Side::One, rules, Fill::Zero, HalfClose::AfterAll);
//! let mut player = Player::new(Arc::new(server), Pace::default());
//! let now = Duration::ZERO;
//! let Next::Send { bytes: b"$ ", .. } = player.next(now) else { panic!("the server speaks first") };
//! player.sent(2, now);
//! player.received(b"exit\n", now);
//! assert_eq!(player.next(now), Next::Fin);
//! player.peer_ended(PeerEnd::Closed, now);
//! assert_eq!(player.next(now), Next::Over);
//! assert_eq!(player.outcome().ending, Ending::Done);
//! ```
#![deny(unsafe_code)]

mod dump;
mod hearing;
mod listener;
mod net;
mod outcome;
mod pattern;
mod pick;
mod player;
mod recording;
pub mod report;
mod rule_error;
mod rules;
mod script;
mod store;
mod tap;

pub use dump::{DumpError, DumpOptions, Dumps, LeftOut, read_dumps};
pub use net::{
    Address, Dismissed, Event as NetEvent, NetError, Options, Played, Role, Tls, TlsClient,
    TlsServer, Trust, run,
};
pub use outcome::{Difference, Divergence, Ending, Outcome, Place, Standstill, Unlike, Waiting};
pub use pattern::Pattern;
pub use pick::{Pick, Pool};
pub use player::{Next, Pace, PeerEnd, Player};
pub use recording::{Event, Finish, Missing, Recording, Transport, What};
pub use rule_error::{MAX_ECHO, RuleError};
pub use rules::{Echo, Mask, Rules, Wait};
pub use script::{Fill, HalfClose, Script};
pub use store::Store;
pub use tap::{Taker, TooMuch, Wanted};
