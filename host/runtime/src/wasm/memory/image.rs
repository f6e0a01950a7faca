//! What a sandbox's memory starts as: the interpreter's memory as the build left it, and on top of it, for the image of
//! a job or a fork, the pages that differ.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pagemap;
use super::slot::Slot;
use super::space::{self, View};

/// The memory that every sandbox starts from. Read-only, shared by all.
#[derive(Debug)]
pub struct Base {
    pub(super) file: File,
    view: View,
}

impl Base {
    /// Opens a file that holds the memory.
    pub fn open(path: &Path) -> io::Result<Arc<Base>> {
        // The file lies in the private cache directory, which only this user can write to; it is made whole and never
        // changed (`cache::write_atomically`), like the machine code beside it.
        Base::map(File::open(path)?)
    }

    /// A base of these bytes, in memory.
    pub fn of(bytes: &[u8]) -> io::Result<Arc<Base>> {
        let file = space::anonymous_file()?;
        file.write_all_at(bytes, 0)?;
        Base::map(file)
    }

    fn map(file: File) -> io::Result<Arc<Base>> {
        let length = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        if length == 0 || length % super::WASM_PAGE != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a whole number of pages"));
        }
        // SAFETY: both callers have a file that nobody changes.
        let view = unsafe { View::of(&file, length)? };
        Ok(Arc::new(Base { file, view }))
    }

    /// Its size in bytes.
    pub fn length(&self) -> usize {
        self.view.bytes().len()
    }

    /// Its contents.
    pub fn bytes(&self) -> &[u8] {
        self.view.bytes()
    }
}

/// The memory of a sandbox at one moment, to start others from. Immutable.
#[derive(Debug)]
pub struct Image {
    pub(super) base: Arc<Base>,
    length: usize,
    changes: Option<Changes>,
    /// The image of the base alone; none for that itself.
    root: Option<Arc<Image>>,
    /// Clean slots that read as this image. The one used last is used next: it is warm.
    idle: Mutex<Vec<Slot>>,
}

/// So many runs of changed pages an image may have whatever lies between them. Each is a mapping in every sandbox, which
/// costs about as much as copying two pages.
const FEW_RUNS: usize = 10;

/// The pages that differ from the base, and what lies between those that are close, one run behind the other in a file.
#[derive(Debug)]
struct Changes {
    file: File,
    view: View,
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    place: Range<usize>,
    offset: usize,
}

impl Run {
    /// Runs whose bytes lie behind each other in a file.
    fn behind_each_other(places: Vec<Range<usize>>) -> Vec<Run> {
        let mut offset = 0;
        let run = |place: Range<usize>| {
            let run = Run { offset, place };
            offset += run.place.len();
            run
        };
        places.into_iter().map(run).collect()
    }
}

/// The ranges of these pages, which are in ascending order. Those with the smallest gaps between them become one, gap
/// included, as long as there are more than [`FEW_RUNS`] and the gaps are at most half as much as what changed.
fn merged(pages: &[usize], page: usize) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for start in pages {
        match ranges.last_mut() {
            Some(range) if *start == range.end => range.end += page,
            _ => ranges.push(*start..*start + page),
        }
    }
    let mut gaps: Vec<usize> = ranges.windows(2).map(|pair| pair[1].start - pair[0].end).collect();
    gaps.sort_unstable();
    gaps.truncate(ranges.len().saturating_sub(FEW_RUNS));
    let mut room = pages.len() * page / 2;
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

/// One run of changed bytes: where it belongs, what it is, and where that lies in the file.
pub struct Change<'i> {
    pub place: Range<usize>,
    pub bytes: &'i [u8],
    pub file: &'i File,
    pub offset: usize,
}

impl Image {
    /// The image with nothing but the base.
    pub fn of(base: Arc<Base>) -> Arc<Image> {
        Arc::new(Image { length: base.length(), base, changes: None, root: None, idle: Mutex::default() })
    }

    /// What the base is.
    #[cfg(test)]
    pub fn bytes(&self) -> &[u8] {
        self.base.bytes()
    }

    /// The size of the memory, in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// How many bytes differ from the base, and are held in memory once for all sandboxes that start from here.
    pub fn changed_bytes(&self) -> usize {
        self.changes.as_ref().map_or(0, |changes| changes.view.bytes().len())
    }

    /// The image of the base alone, unless this is it.
    pub fn root(&self) -> Option<&Arc<Image>> {
        self.root.as_ref()
    }

    /// Clean slots that read as this image.
    pub fn idle(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a page has that starts at `at`; `None`: zeros.
    pub fn page(&self, at: usize) -> Option<&[u8]> {
        let page = space::page();
        if let Some(changes) = &self.changes {
            let run = changes.runs.partition_point(|run| run.place.end <= at);
            if let Some(run) = changes.runs.get(run).filter(|run| run.place.start <= at) {
                let start = run.offset + at - run.place.start;
                return changes.view.bytes().get(start..start + page);
            }
        }
        self.base.bytes().get(at..at + page)
    }

    /// What differs from the base.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.changes.iter().flat_map(|changes| {
            changes.runs.iter().map(|run| Change {
                place: run.place.clone(),
                bytes: &changes.view.bytes()[run.offset..run.offset + run.place.len()],
                file: &changes.file,
                offset: run.offset,
            })
        })
    }

    /// The image of `memory` now, which belongs to a sandbox that was started from `self` and is not running.
    pub fn take(self: &Arc<Image>, memory: &[u8]) -> io::Result<Arc<Image>> {
        let page = space::page();
        // What the sandbox wrote to, and what its own image had changed already.
        let mut pages: Vec<usize> = pagemap::written(memory.as_ptr(), memory.len())
            .into_iter()
            .chain(self.changes.iter().flat_map(|changes| changes.runs.iter().map(|run| run.place.clone())))
            .flat_map(|range| range.step_by(page))
            .filter(|start| self.differs(*start..*start + page, memory))
            .collect();
        pages.sort_unstable();
        pages.dedup();
        let runs = Run::behind_each_other(merged(&pages, page));
        let total = runs.last().map_or(0, |run| run.offset + run.place.len());
        let changes = if runs.is_empty() { None } else { Some(Changes::write(runs, total, memory)?) };
        let root = Some(self.root.as_ref().unwrap_or(self).clone());
        Ok(Arc::new(Image { base: self.base.clone(), length: memory.len(), changes, root, idle: Mutex::default() }))
    }

    /// Whether a page of `memory` is not what the base has there (zeros beyond its end).
    fn differs(&self, range: Range<usize>, memory: &[u8]) -> bool {
        match self.base.bytes().get(range.clone()) {
            Some(base) => memory[range] != *base,
            None => memory[range].iter().any(|byte| *byte != 0),
        }
    }
}

impl Changes {
    fn write(runs: Vec<Run>, total: usize, memory: &[u8]) -> io::Result<Changes> {
        let mut file = space::anonymous_file()?;
        let mut parts: Vec<IoSlice<'_>> = runs.iter().map(|run| IoSlice::new(&memory[run.place.clone()])).collect();
        let mut parts = &mut parts[..];
        while !parts.is_empty() {
            match file.write_vectored(parts)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => IoSlice::advance_slices(&mut parts, written),
            }
        }
        // SAFETY: the file has no name and its descriptor stays in here: nobody writes to it again.
        let view = unsafe { View::of(&file, total)? };
        Ok(Changes { file, view, runs })
    }
}
