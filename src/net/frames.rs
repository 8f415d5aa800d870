//! What a peer may ask of an HTTP/2 connection beside requests: frames that carry nothing cost it a
//! dozen bytes each, and us the work. The library bounds what such frames make it remember, but not
//! how many of them come, nor how often a stream is opened only to be reset once its request is on
//! its way to a backend (CVE-2023-44487).
//!
//! The meter reads nothing but the heads of frames. Frames are paid for with time, and with bytes
//! that the peer was sent: one that takes a large answer has much room to announce.

use crate::base::clock::Tick;

/// Control frames that may come at once ...
const CONTROL_FRAMES_BURST: u32 = 10_000;
/// ... and each second: about one in a thousand of a core's cycles.
const CONTROL_FRAMES_PER_SECOND: u64 = 1_000;

/// Streams that may be reset at once: all that may be open, and once more ...
const RESETS_BURST: u32 = 200;
/// ... and each second. Each cost a backend a connection.
const RESETS_PER_SECOND: u64 = 100;

/// Bytes sent to the peer that pay for a control frame: the smallest frame of data has ten, and is worth
/// two announcements of room and a ping. Clients that measure how much may be on its way, as gRPC's do,
/// send one whenever data comes and none is out.
const BYTES_SENT_PER_FRAME: u64 = 3;

/// What we say to a ping, and to settings. It pays for nothing, or each would pay for the next.
const PONG_BYTES: u64 = 17;
const SETTINGS_ACK_BYTES: u64 = 9;

/// The longest preface of a connection, which is no frame.
const PREFACE_BYTES: u64 = 24;

const HEAD_BYTES: usize = 9;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

/// What a connection is closed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flood {
    /// Frames that carry nothing.
    #[error("too many HTTP/2 control frames")]
    Control,
    /// Streams opened to be reset.
    #[error("too many HTTP/2 streams reset")]
    Resets,
}

/// Counts the frames that a peer sends on one connection.
#[derive(Debug)]
pub struct FrameMeter {
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    /// Bytes of the current frame's payload that are to come.
    payload: u64,
    control: Toll,
    resets: Toll,
    /// Bytes sent that paid for no frame yet.
    sent: u64,
    /// Bytes of answers to control frames that are to be sent, and pay for nothing.
    owed: u64,
}

/// Something that may be done so often at once, and so often each second.
#[derive(Debug)]
struct Toll {
    spent: u32,
    burst: u32,
    per_second: u64,
    /// When time last paid for something.
    paid: Tick,
}

// === impl FrameMeter ===

impl FrameMeter {
    /// For a connection that begins now, with its preface.
    pub fn new(now: Tick) -> Self {
        let toll = |burst, per_second| Toll {
            spent: 0,
            burst,
            per_second,
            paid: now,
        };
        Self {
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            payload: PREFACE_BYTES,
            control: toll(CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_SECOND),
            resets: toll(RESETS_BURST, RESETS_PER_SECOND),
            sent: 0,
            owed: 0,
        }
    }

    /// Takes note of what the peer sent, cut as it may be. `now` is asked for only when a burst is
    /// used up.
    ///
    /// # Errors
    /// [`Flood`] when there was too much of something.
    pub fn received(&mut self, mut bytes: &[u8], now: fn() -> Tick) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = bytes
                    .len()
                    .min(usize::try_from(self.payload).unwrap_or(usize::MAX));
                self.payload -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            let count = bytes.len().min(HEAD_BYTES - self.head_bytes);
            self.head[self.head_bytes..][..count].copy_from_slice(&bytes[..count]);
            self.head_bytes += count;
            bytes = &bytes[count..];
            if self.head_bytes == HEAD_BYTES {
                self.head_bytes = 0;
                self.charge(now)?;
            }
        }
        Ok(())
    }

    /// Takes note of bytes that the peer was sent.
    pub fn sent(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        let owed = bytes.min(self.owed);
        self.owed -= owed;
        self.sent += bytes - owed;
    }

    fn charge(&mut self, now: fn() -> Tick) -> Result<(), Flood> {
        let [high, mid, low, kind, flags, ..] = self.head;
        self.payload = u64::from(u32::from_be_bytes([0, high, mid, low]));
        let is_answer = flags & 1 == 1;
        let (price, answer) = match kind {
            // Data, heads and what continues them: requests, and bounded elsewhere.
            0 | 1 | 9 => return Ok(()),
            PING if !is_answer => (1, PONG_BYTES),
            // Much to do, and seldom.
            SETTINGS if !is_answer => (4, SETTINGS_ACK_BYTES),
            _ => (1, 0),
        };
        if kind == RST_STREAM && !self.resets.take(1, now) {
            return Err(Flood::Resets);
        }
        let earned = self.sent / BYTES_SENT_PER_FRAME;
        self.sent %= BYTES_SENT_PER_FRAME;
        self.control.give(earned);
        self.owed += answer;
        match self.control.take(price, now) {
            true => Ok(()),
            false => Err(Flood::Control),
        }
    }
}

// === impl Toll ===

impl Toll {
    fn give(&mut self, count: u64) {
        self.spent = self
            .spent
            .saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn take(&mut self, count: u32, now: fn() -> Tick) -> bool {
        if self.spent + count > self.burst {
            let now = now();
            let earned = now.ns_since(self.paid).saturating_mul(self.per_second) / 1_000_000_000;
            if earned > 0 {
                self.paid = now;
                self.give(earned);
            }
        }
        self.spent = self.spent.saturating_add(count);
        self.spent <= self.burst
    }
}

/// What holds for any bytes that a peer sends, for fuzzing and property tests: however they are cut, the
/// verdict is that of a reader that has them all and counts slowly. The first three bytes say how they
/// are cut, how often they come, and how much the peer was sent before.
#[cfg(any(test, fuzzing))]
pub fn any_frames_hold(bytes: &[u8]) {
    let &[cut, times, sent, ref frames @ ..] = bytes else {
        return;
    };
    let preface = [b'P'; PREFACE_BYTES as usize];
    let (times, sent) = (1 + usize::from(times) * 16, usize::from(sent) * 50);
    let text = [
        &preface[..],
        &frames.repeat(times.min(1 + (1 << 20) / frames.len().max(1))),
    ]
    .concat();
    let slow = slowly(&text[preface.len()..], sent as u64);
    for size in [usize::from(cut).max(1), text.len(), HEAD_BYTES] {
        let mut meter = FrameMeter::new(Tick::from_ns(1));
        meter.sent(sent);
        let verdict = text
            .chunks(size)
            .try_for_each(|piece| meter.received(piece, || Tick::from_ns(1)));
        assert_eq!(verdict, slow, "cut at each {size}");
    }
}

#[cfg(any(test, fuzzing))]
fn slowly(mut text: &[u8], mut sent: u64) -> Result<(), Flood> {
    let (mut spent, mut resets) = (0_u64, 0);
    while let [high, mid, low, kind, flags, _, _, _, _, rest @ ..] = text {
        let length = u32::from_be_bytes([0, *high, *mid, *low]) as usize;
        text = rest.get(length..).unwrap_or_default();
        if matches!(kind, 0 | 1 | 9) {
            continue;
        }
        resets += u32::from(*kind == RST_STREAM);
        if resets > RESETS_BURST {
            return Err(Flood::Resets);
        }
        spent = spent.saturating_sub(sent / BYTES_SENT_PER_FRAME);
        sent %= BYTES_SENT_PER_FRAME;
        spent += match (*kind, flags & 1) {
            (SETTINGS, 0) => 4,
            _ => 1,
        };
        if spent > u64::from(CONTROL_FRAMES_BURST) {
            return Err(Flood::Control);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Tick {
        Tick::from_ns(1)
    }

    fn a_second_on() -> Tick {
        Tick::from_ns(1_000_000_001)
    }

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("small").to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        bytes.resize(HEAD_BYTES + payload, 0xff);
        bytes
    }

    fn meter() -> FrameMeter {
        let mut meter = FrameMeter::new(start());
        assert_eq!(meter.received(&[b'P'; 24], start), Ok(()));
        meter
    }

    /// How many frames of a kind are taken before it is too much.
    fn taken(meter: &mut FrameMeter, bytes: &[u8], now: fn() -> Tick) -> (u32, Flood) {
        for count in 0..100_000 {
            if let Err(flood) = meter.received(bytes, now) {
                return (count, flood);
            }
        }
        panic!("nothing was too much");
    }

    #[test]
    fn what_carries_nothing_is_bounded() {
        for (kind, flags, count) in [
            (PING, 0, 10_000),
            (PING, 1, 10_000),
            (SETTINGS, 0, 2_500),
            (2, 0, 10_000),
            (8, 0, 10_000),
            (0xfe, 0, 10_000),
        ] {
            let bytes = frame(kind, flags, 8);
            let taken = taken(&mut meter(), &bytes, start);
            assert_eq!(taken, (count, Flood::Control), "{kind} {flags}");
        }
        let resets = taken(&mut meter(), &frame(RST_STREAM, 0, 4), start);
        assert_eq!(resets, (200, Flood::Resets));
    }

    #[test]
    fn requests_are_not_counted_and_data_is_not_read() {
        let mut meter = meter();
        let tricky = frame(PING, 0, 8).repeat(100);
        for kind in [0, 1, 9] {
            let mut bytes = frame(kind, 0, tricky.len());
            bytes.truncate(HEAD_BYTES);
            bytes.extend(&tricky);
            for _ in 0..200 {
                assert_eq!(meter.received(&bytes, start), Ok(()));
            }
        }
        assert_eq!(meter.control.spent, 0);
    }

    #[test]
    fn time_and_answers_pay() {
        let room = frame(8, 0, 4);
        let mut idle = meter();
        assert_eq!(taken(&mut idle, &room, start).0, 10_000);
        assert_eq!(taken(&mut idle, &room, a_second_on).0, 1_000);
        let mut busy = meter();
        for _ in 0..100_000 {
            busy.sent(10);
            assert_eq!(busy.received(&room.repeat(2), start), Ok(()));
        }
        for (kind, answer, count) in [(PING, PONG_BYTES, 10_000), (SETTINGS, 9, 2_500)] {
            let mut meter = meter();
            let mut answered = 0;
            while meter.received(&frame(kind, 0, 12), start).is_ok() {
                meter.sent(usize::try_from(answer).expect("small"));
                answered += 1;
            }
            assert_eq!(answered, count, "answers pay for nothing");
        }
    }

    /// For hours: no time passes here that could pay for any of it.
    #[test]
    fn a_client_that_measures_with_each_smallest_piece_of_data_is_not_turned_away() {
        let mut meter = meter();
        let said = [frame(8, 0, 4), frame(8, 0, 4), frame(PING, 0, 8)].concat();
        for _ in 0..1_000_000 {
            meter.sent(HEAD_BYTES + 1);
            assert_eq!(meter.received(&said, start), Ok(()));
            meter.sent(17);
        }
        // Nor one that sends as small pieces, and is announced room for them.
        let piece = frame(0, 0, 1);
        for _ in 0..1_000_000 {
            assert_eq!(meter.received(&piece, start), Ok(()));
        }
    }

    #[test]
    fn cuts_change_nothing() {
        let bytes = [
            frame(4, 0, 12),
            frame(0, 1, 100),
            frame(3, 0, 4),
            frame(8, 0, 4),
        ]
        .concat();
        let mut whole = meter();
        assert_eq!(whole.received(&bytes, start), Ok(()));
        for size in 1..40 {
            let mut cut = meter();
            for piece in bytes.chunks(size) {
                assert_eq!(cut.received(piece, start), Ok(()));
            }
            assert_eq!(cut.control.spent, whole.control.spent, "{size}");
            assert_eq!((cut.resets.spent, cut.payload), (1, 0));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_frames(
            how in any::<[u8; 3]>(),
            noise in prop::collection::vec(any::<u8>(), 0..60),
            frames in prop::collection::vec((0..11_u8, 0..4_u8, 0..30_usize), 0..6),
        ) {
            any_frames_hold(&[&how[..], &noise].concat());
            let frames = frames.iter().map(|&(kind, flags, length)| frame(kind, flags, length));
            let frames: Vec<u8> = frames.flatten().collect();
            any_frames_hold(&[&how[..], &frames].concat());
        }
    }
}
