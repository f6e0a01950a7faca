//! A slot: address space for one sandbox's memory, used by one sandbox after the other.
//!
//! An idle slot holds nothing of anybody: it is inaccessible, or reads as the base image. What a tenant wrote goes when
//! the tenant goes, not when the next one comes.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use super::image::{Base, Image};
use super::space::Space;
use super::{GUARD, ROOM, pagemap};

/// Runs of at least this many bytes are mapped from the image's file; shorter ones are copied: a mapping costs about
/// as much as copying so many pages, and counts towards the kernel's limit of mappings.
const MAPPED_FROM: usize = 32 << 10;

/// What one tenant wrote is overwritten with the image, page by page, up to so many bytes, and dropped beyond. An
/// overwritten page costs the next tenant no page fault, but stays this slot's own memory.
const KEPT: usize = 1 << 20;

/// Address space for one memory, and what is mapped there.
#[derive(Debug)]
pub struct Slot {
    space: Space,
    /// The base image that is mapped from the start; `None`: everything is inaccessible.
    base: Option<Arc<Base>>,
    /// Bytes from the start that are accessible.
    length: usize,
    /// Whether parts of other files are mapped over the base.
    overlaid: bool,
}

impl Slot {
    pub fn new() -> io::Result<Slot> {
        Ok(Slot { space: Space::reserve(ROOM, GUARD)?, base: None, length: 0, overlaid: false })
    }

    /// Where the memory starts.
    pub fn start(&self) -> NonNull<u8> {
        self.space.base()
    }

    /// Bytes that are accessible.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Makes an idle slot's memory that of `image`. After an error the slot must be dropped.
    pub fn fill(&mut self, image: &Image) -> io::Result<()> {
        let base_length = image.base.length();
        if !self.base.as_ref().is_some_and(|base| Arc::ptr_eq(base, &image.base)) {
            self.space.unmap(0..self.length)?;
            self.space.map_file(0..base_length, &image.base.file, 0)?;
            self.base = Some(image.base.clone());
            self.length = base_length;
        }
        self.grow(image.length())?;
        for change in image.changes() {
            // Beyond the base there is nothing to share: those pages are read once and written soon.
            if change.bytes.len() >= MAPPED_FROM {
                self.overlaid = true;
                self.space.map_file(change.place, change.file, change.offset)?;
            } else {
                self.space.copy(change.place.start, change.bytes);
            }
        }
        Ok(())
    }

    /// Makes an idle slot without an image `length` zeros. After an error the slot must be dropped.
    pub fn fill_with_zeros(&mut self, length: usize) -> io::Result<()> {
        self.space.unmap(length.min(self.length)..self.length)?;
        self.length = self.length.min(length);
        self.grow(length)
    }

    /// Makes zeros accessible behind the present end, up to `length`.
    pub fn grow(&mut self, length: usize) -> io::Result<()> {
        if length > self.length {
            self.space.map_zeros(self.length..length)?;
            self.length = length;
        }
        Ok(())
    }

    /// Removes everything that a tenant wrote. `warm`: leave pages in place, as the base has them. After an error the
    /// slot must be dropped.
    pub fn reset(&mut self, warm: bool) -> io::Result<()> {
        let Some(base) = self.base.clone() else {
            #[cfg(target_os = "linux")]
            return self.space.discard(0..self.length);
            #[cfg(not(target_os = "linux"))]
            return self.space.map_zeros(0..self.length);
        };
        let end = base.length();
        self.space.unmap(end..self.length)?;
        self.length = end;
        if self.overlaid || !pagemap::is_supported() {
            // A new mapping replaces all that was there.
            self.space.map_file(0..end, &base.file, 0)?;
            self.overlaid = false;
            return Ok(());
        }
        self.restore(&base, if warm { KEPT } else { 0 })
    }

    #[cfg(target_os = "linux")]
    fn restore(&mut self, base: &Base, mut kept: usize) -> io::Result<()> {
        for range in pagemap::written(self.space.base().as_ptr(), base.length()) {
            if range.len() <= kept {
                kept -= range.len();
                self.space.copy(range.start, &base.bytes()[range]);
            } else {
                self.space.discard(range)?;
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn restore(&mut self, base: &Base, _kept: usize) -> io::Result<()> {
        self.space.map_file(0..base.length(), &base.file, 0)
    }
}
