//! What a sandbox's memory starts as: the interpreter's memory as the build left it, and on top of it, for the image of
//! a job or a fork, the pages that differ.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::changes::{Change, Changes, Plan};
use super::slot::Slot;
use super::space::{self, View};
use super::written::Written;

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

/// Why there is no image.
#[derive(Debug)]
pub enum NoImage {
    /// It would hold so many bytes, more than it may.
    TooLarge(usize),
    /// The system has no room for it.
    System(io::Error),
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
        self.changes.as_ref().map_or(0, |changes| changes.bytes().len())
    }

    /// Whether nothing of it is mapped but the base.
    pub fn is_copied(&self) -> bool {
        self.changes.as_ref().is_none_or(Changes::are_few)
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
        match self.changes.as_ref().and_then(|changes| changes.page(at)) {
            Some(page) => Some(page),
            None => self.base.bytes().get(at..at + space::page()),
        }
    }

    /// What differs from the base.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.changes.iter().flat_map(Changes::iter)
    }

    /// The image of `memory` now, which belongs to a sandbox that was started from `self` and is not running. It may
    /// hold `most` bytes; nothing is copied if it would hold more. `written`: what is known of that memory.
    pub fn take(self: &Arc<Image>, memory: &[u8], written: &mut Written, most: u64) -> Result<Arc<Image>, NoImage> {
        let page = space::page();
        // What the sandbox wrote to, and what its own image had changed already.
        let mut pages: Vec<usize> = written
            .ranges(memory, self.base.length())
            .into_iter()
            .chain(self.changes.iter().flat_map(Changes::places))
            .flat_map(|range| range.step_by(page))
            .filter(|start| self.differs(*start..*start + page, memory))
            .collect();
        pages.sort_unstable();
        pages.dedup();
        let plan = Plan::of(&pages);
        if plan.total as u64 > most {
            return Err(NoImage::TooLarge(plan.total));
        }
        let changes = (plan.total > 0).then(|| plan.hold(memory)).transpose().map_err(NoImage::System)?;
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
