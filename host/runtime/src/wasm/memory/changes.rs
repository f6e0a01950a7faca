//! What an image has changed of its base: runs of pages. Few pages are held in a buffer and copied into each memory that
//! starts from the image; many are held in a file of which each memory maps its own, private copy.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::ops::Range;

use super::space::{self, View};

/// More bytes than these are held in a file. Copying a page into a slot that was used before costs 0.1 us, into any
/// other a page fault more (0.7 us), which a sandbox that writes to the page has anyway; a mapping costs 4 us. What is
/// copied is memory of each sandbox's own, so it must not be much: a small job has changed half of this.
const FEW: usize = 384 << 10;

/// So many runs may be mapped whatever lies between them.
const FEW_RUNS: usize = 10;

/// The pages that differ from the base, and if they are many what lies between those that are close, one run behind the
/// other.
#[derive(Debug)]
pub struct Changes {
    runs: Vec<Run>,
    bytes: Bytes,
}

#[derive(Debug)]
struct Run {
    place: Range<usize>,
    offset: usize,
}

#[derive(Debug)]
enum Bytes {
    Few(Vec<u8>),
    Many { file: File, view: View },
}

/// One run of changed bytes: where it belongs, what it is, and where that lies in a file, if it lies in one.
pub struct Change<'i> {
    pub place: Range<usize>,
    pub bytes: &'i [u8],
    pub file: Option<(&'i File, usize)>,
}

/// Runs of which nothing is held yet.
#[derive(Debug)]
pub struct Plan {
    runs: Vec<Run>,
    /// How many bytes they have.
    pub total: usize,
}

impl Plan {
    /// The runs of these pages, which are in ascending order.
    pub fn of(pages: &[usize]) -> Plan {
        let page = space::page();
        let mut places = ranges(pages, page);
        if pages.len() * page > FEW {
            places = merged(places);
        }
        let mut total = 0;
        let run = |place: Range<usize>| {
            let run = Run { offset: total, place };
            total += run.place.len();
            run
        };
        let runs = places.into_iter().map(run).collect();
        Plan { runs, total }
    }

    /// Copies the runs from `memory`.
    pub fn hold(self, memory: &[u8]) -> io::Result<Changes> {
        let parts = self.runs.iter().map(|run| &memory[run.place.clone()]);
        let bytes = if self.total <= FEW {
            let mut bytes = Vec::with_capacity(self.total);
            parts.for_each(|part| bytes.extend_from_slice(part));
            Bytes::Few(bytes)
        } else {
            let file = file_of(&mut parts.map(IoSlice::new).collect::<Vec<_>>())?;
            // SAFETY: the file has no name and its descriptor stays in here: nobody writes to it again.
            let view = unsafe { View::of(&file, self.total)? };
            Bytes::Many { file, view }
        };
        Ok(Changes { runs: self.runs, bytes })
    }
}

impl Changes {
    /// Whether they are copied into memories, never mapped.
    pub fn are_few(&self) -> bool {
        matches!(self.bytes, Bytes::Few(_))
    }

    /// All runs, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Few(bytes) => bytes,
            Bytes::Many { view, .. } => view.bytes(),
        }
    }

    /// The page that starts at `at`, if it is one of them.
    pub fn page(&self, at: usize) -> Option<&[u8]> {
        let run = self.runs.get(self.runs.partition_point(|run| run.place.end <= at))?;
        let start = run.offset + at.checked_sub(run.place.start)?;
        self.bytes().get(start..start + space::page())
    }

    /// Where the runs belong, in ascending order.
    pub fn places(&self) -> impl Iterator<Item = Range<usize>> {
        self.runs.iter().map(|run| run.place.clone())
    }

    /// Each run.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        let file = match &self.bytes {
            Bytes::Few(_) => None,
            Bytes::Many { file, .. } => Some(file),
        };
        self.runs.iter().map(move |run| Change {
            place: run.place.clone(),
            bytes: &self.bytes()[run.offset..run.offset + run.place.len()],
            file: file.map(|file| (file, run.offset)),
        })
    }
}

fn ranges(pages: &[usize], page: usize) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for start in pages {
        match ranges.last_mut() {
            Some(range) if *start == range.end => range.end += page,
            _ => ranges.push(*start..*start + page),
        }
    }
    ranges
}

/// Those with the smallest gaps between them become one, gap included, as long as there are more than [`FEW_RUNS`] and
/// the gaps are at most half as much as what changed.
fn merged(ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut gaps: Vec<usize> = ranges.windows(2).map(|pair| pair[1].start - pair[0].end).collect();
    gaps.sort_unstable();
    gaps.truncate(ranges.len().saturating_sub(FEW_RUNS));
    let mut room = ranges.iter().map(ExactSizeIterator::len).sum::<usize>() / 2;
    let fits = gaps.iter().take_while(|gap| {
        let fits = **gap <= room;
        room = room.saturating_sub(**gap);
        fits
    });
    let Some(widest) = fits.last().copied() else { return ranges };
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start - last.end <= widest => last.end = range.end,
            _ => merged.push(range),
        }
    }
    merged
}

/// A file in memory that holds these, one behind the other.
fn file_of(mut parts: &mut [IoSlice<'_>]) -> io::Result<File> {
    let mut file = space::anonymous_file()?;
    while !parts.is_empty() {
        match file.write_vectored(parts)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut parts, written),
        }
    }
    Ok(file)
}
