//! The lines of one deployment: blocks of packed lines, of which the oldest go first.
//!
//! ```text
//! oldest ▶ [··line line line] [line line line line] [line line      ] ◀ newest
//!            └ gone: the block goes with its last line        └ room
//! ```

use std::collections::VecDeque;

use tokio::sync::watch;

use super::{
    Asked,
    line::{Level, Line},
    pack::{self, Packed},
};
use crate::base::{clock::Tick, name::DeploymentName};

/// Bytes of a block: large beside what it costs to have one, small beside a ring, since blocks are
/// what is given back when there are too many bytes.
const BLOCK_BYTES: usize = 1_024;
/// The first blocks of a ring are smaller: most deployments are quiet.
const FIRST_BLOCK_BYTES: usize = 256;
/// What the allocator adds to a block.
const ALLOCATION_BYTES: usize = 16;
/// What a ring costs beside its blocks: itself, its name, its places in two tables.
const RING_BYTES: usize = size_of::<Ring>() + 2 * size_of::<DeploymentName>() + 192;

/// How far back a moment may lie behind the one before and is still shown as that: workers tell their
/// outcomes a few times a second, each for itself. What is further back is a clock that was set.
const UNORDERED_MS: u64 = 1_000;

/// One deployment's lines.
#[derive(Debug, Default)]
pub(super) struct Ring {
    blocks: VecDeque<Block>,
    lines: usize,
    block_bytes: usize,
    /// The number of the next line. Goes on over everything that is forgotten.
    next: u64,
    last_at_ms: u64,
    /// The first version of the life that this is of; 0 when that began before this process.
    first_version: u32,
    /// Changes with each life.
    life: u32,
    /// Since when its deployment is gone.
    pub(super) gone: Option<Tick>,
    /// Made for the first follower.
    told: Option<watch::Sender<()>>,
}

#[derive(Debug, Clone)]
struct Block {
    /// The number of its first line that is left.
    first: u64,
    lines: usize,
    /// Where that line begins.
    begin: usize,
    /// What its moments are counted from.
    base_ms: u64,
    bytes: Vec<u8>,
}

/// Lines as they were kept, to be read when nobody waits any more.
#[derive(Debug, Default)]
pub(super) struct Copied(Vec<Block>);

/// Where a follower stands.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) next: u64,
    pub(super) life: u32,
}

impl Ring {
    /// Bytes of all that it holds.
    pub(super) fn bytes(&self) -> usize {
        RING_BYTES + self.block_bytes + self.blocks.capacity() * size_of::<Block>()
    }

    /// Whether it has any lines.
    pub(super) fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// Adds a line, of this version if it is a request's; the oldest go beyond `lines_max`. One of a
    /// former life is no line of this one.
    pub(super) fn push(&mut self, version: Option<u32>, packed: &Packed, lines_max: usize) {
        if version.is_some_and(|version| version < self.first_version) {
            return;
        }
        let mut at_ms = packed.at_ms;
        if at_ms < self.last_at_ms && self.last_at_ms - at_ms < UNORDERED_MS {
            at_ms = self.last_at_ms;
        }
        self.last_at_ms = at_ms;
        let most = packed.bytes_max();
        let has_room = |block: &Block| block.bytes.capacity() - block.bytes.len() >= most;
        if !self.blocks.back().is_some_and(has_room) {
            let usual = FIRST_BLOCK_BYTES << self.blocks.len().min(2);
            let bytes = Vec::with_capacity(usual.clamp(most, BLOCK_BYTES.max(most)));
            self.block_bytes += bytes.capacity() + ALLOCATION_BYTES;
            self.blocks.push_back(Block {
                first: self.next,
                lines: 0,
                begin: 0,
                base_ms: at_ms,
                bytes,
            });
        }
        if let Some(block) = self.blocks.back_mut() {
            packed.write(at_ms, block.base_ms, &mut block.bytes);
            block.lines += 1;
            self.lines += 1;
        }
        self.next += 1;
        while self.lines > lines_max {
            self.pop_line();
        }
        if let Some(told) = &self.told {
            told.send_replace(());
        }
    }

    fn pop_line(&mut self) {
        let Some(block) = self.blocks.front_mut() else {
            self.lines = 0;
            return;
        };
        let front = pack::front(&block.bytes[block.begin..]);
        block.begin += front.map_or(0, |(taken, _)| taken);
        block.first += 1;
        block.lines -= 1;
        self.lines -= 1;
        if block.lines == 0 {
            self.pop_block();
        }
    }

    /// Gives the oldest block back; how many lines that cost. None when there is none.
    pub(super) fn pop_block(&mut self) -> Option<usize> {
        let block = self.blocks.pop_front()?;
        self.block_bytes -= block.bytes.capacity() + ALLOCATION_BYTES;
        self.lines -= block.lines;
        if self.blocks.len() * 4 < self.blocks.capacity() {
            self.blocks.shrink_to(self.blocks.len() * 2);
        }
        Some(block.lines)
    }

    /// A new life of the name begins: nothing of the former one is left.
    pub(super) fn begin(&mut self, first_version: u32) {
        self.blocks = VecDeque::new();
        (self.lines, self.block_bytes) = (0, 0);
        self.first_version = first_version;
        self.life = self.life.wrapping_add(1);
        self.gone = None;
        // Its followers find that they have come to an end.
        self.told = None;
    }

    /// Blocks with the newest `limit` lines of a level at least, and perhaps some more.
    pub(super) fn newest(&self, asked: &Asked) -> Copied {
        let mut wanted = asked.limit;
        let mut blocks = Vec::new();
        for block in self.blocks.iter().rev() {
            if wanted == 0 {
                break;
            }
            let levels = block.levels().filter(|level| *level >= asked.level);
            wanted = wanted.saturating_sub(levels.count());
            blocks.push(block.clone());
        }
        blocks.reverse();
        Copied(blocks)
    }

    /// What comes from a mark on, up to about so many bytes, and how many lines before that are gone.
    /// The mark moves behind it.
    pub(super) fn beyond(&self, mark: &mut Mark, bytes_max: usize) -> (Copied, u64) {
        let oldest = self.next - self.lines as u64;
        let lost = oldest.saturating_sub(mark.next);
        mark.next = mark.next.max(oldest);
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        let at = self
            .blocks
            .partition_point(|block| block.first + block.lines as u64 <= mark.next);
        for block in self.blocks.range(at..) {
            if bytes >= bytes_max {
                break;
            }
            let block = block.beyond(mark.next);
            bytes += block.bytes.len();
            mark.next = block.first + block.lines as u64;
            blocks.push(block);
        }
        (Copied(blocks), lost)
    }

    /// Where a follower begins who has seen all there is.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            next: self.next,
            life: self.life,
        }
    }

    /// Wakes whenever there is a new line; ends with this life.
    pub(super) fn listen(&mut self) -> watch::Receiver<()> {
        self.told
            .get_or_insert_with(|| watch::Sender::new(()))
            .subscribe()
    }

    /// Lets go of what nobody listens to.
    pub(super) fn hush(&mut self) {
        self.told.take_if(|told| told.is_closed());
    }
}

// === impl Block ===

impl Block {
    fn levels(&self) -> impl Iterator<Item = Level> {
        let mut rest = &self.bytes[self.begin..];
        std::iter::from_fn(move || {
            let (taken, level) = pack::front(rest)?;
            rest = &rest[taken..];
            Some(level)
        })
    }

    /// A copy without the lines before this one.
    fn beyond(&self, first: u64) -> Self {
        let mut begin = self.begin;
        let skipped = first.saturating_sub(self.first);
        for _ in 0..skipped {
            begin += pack::front(&self.bytes[begin..]).map_or(0, |(taken, _)| taken);
        }
        Self {
            first: self.first + skipped,
            lines: self.lines - skipped as usize,
            begin: 0,
            base_ms: self.base_ms,
            bytes: self.bytes[begin..].to_vec(),
        }
    }
}

// === impl Copied ===

impl Copied {
    /// Reads them back.
    pub(super) fn lines(&self, name: &DeploymentName) -> Vec<Line> {
        let mut lines = Vec::with_capacity(self.0.iter().map(|block| block.lines).sum());
        for block in &self.0 {
            let mut rest = &block.bytes[block.begin..];
            while let Some((line, taken)) = pack::unpack(name, block.base_ms, rest) {
                rest = &rest[taken..];
                lines.push(line);
            }
        }
        lines
    }
}
