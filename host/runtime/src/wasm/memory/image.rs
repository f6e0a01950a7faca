//! What a sandbox's memory starts as: the interpreter's memory as the build left it, and on top of it, for the image of
//! a job or a fork, the pages that differ.

use std::fs::File;
use std::io;
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

/// The pages that differ from the base, one run behind the other in a file.
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
        let mut runs: Vec<Run> = Vec::new();
        let mut total = 0;
        for start in pages {
            match runs.last_mut() {
                Some(run) if start == run.place.end => run.place.end += page,
                _ => runs.push(Run { place: start..start + page, offset: total }),
            }
            total += page;
        }
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
        let file = space::anonymous_file()?;
        for run in &runs {
            file.write_all_at(&memory[run.place.clone()], run.offset as u64)?;
        }
        // SAFETY: the file has no name and its descriptor stays in here: nobody writes to it again.
        let view = unsafe { View::of(&file, total)? };
        Ok(Changes { file, view, runs })
    }
}
