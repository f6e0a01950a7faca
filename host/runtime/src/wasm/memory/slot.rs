//! A slot: address space for one sandbox's memory, used by one sandbox after the other.
//!
//! An idle slot holds nothing of anybody: it reads as the image that it is kept for, or as zeros. What a tenant wrote
//! goes when the tenant goes, not when the next one comes.

use std::io;
use std::ptr::NonNull;

use super::changes::Change;
use super::image::Image;
use super::space::{self, Space};
use super::{GUARD, ROOM, pagemap};

/// Runs of at least this many bytes are mapped from the image's file, if it has one; shorter ones are copied.
const MAPPED_FROM: usize = 8 << 10;

/// What a tenant wrote is overwritten with the image, page by page, if it is no more than this. An overwritten page
/// costs the next tenant no page fault, but stays this slot's own memory, and is overwritten again when that one goes,
/// whether it has used it or not. Twice what a small job writes to.
const KEPT: usize = 512 << 10;

/// Address space for one memory, and what is mapped there.
#[derive(Debug)]
pub struct Slot {
    space: Space,
    /// Bytes from the start that are accessible.
    length: usize,
}

impl Slot {
    /// A slot in which nothing is accessible.
    pub fn new() -> io::Result<Slot> {
        Ok(Slot { space: Space::reserve(ROOM, GUARD)?, length: 0 })
    }

    /// Where the memory starts.
    pub fn start(&self) -> NonNull<u8> {
        self.space.base()
    }

    /// Bytes that are accessible.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Makes the memory that of `image`, whatever it was. After an error the slot must be dropped.
    pub fn fill(&mut self, image: &Image) -> io::Result<()> {
        let base_length = image.base.length();
        // A new mapping replaces all that was there.
        self.space.map_file(0..base_length, &image.base.file, 0)?;
        self.space.unmap(base_length.min(self.length)..self.length)?;
        self.length = base_length;
        self.apply(image)
    }

    /// Makes a clean slot of the base alone one of `image`. After an error the slot must be dropped.
    pub fn apply(&mut self, image: &Image) -> io::Result<()> {
        self.grow(image.length())?;
        if let Err(error) = self.put(image, MAPPED_FROM) {
            // A process may have only so many mappings, and then does with two. A failed one can leave a hole.
            tracing::debug!("an image is copied, it cannot be mapped: {error}");
            let base_length = image.base.length();
            self.space.map_file(0..base_length, &image.base.file, 0)?;
            self.space.map_zeros(base_length..self.length)?;
            self.put(image, usize::MAX)?;
        }
        Ok(())
    }

    /// Puts what `image` has changed over the base: maps what lies in a file, in runs of at least so many bytes, and
    /// copies the rest.
    fn put(&mut self, image: &Image, mapped_from: usize) -> io::Result<()> {
        for change in image.changes() {
            match change.file {
                Some((file, offset)) if change.bytes.len() >= mapped_from => {
                    self.space.map_file(change.place, file, offset)?;
                }
                _ => self.space.copy(change.place.start, change.bytes),
            }
        }
        Ok(())
    }

    /// Makes a clean slot of `image`, of which nothing is mapped but its base, one of the base alone. After an error the
    /// slot must be dropped.
    pub fn take_back(&mut self, image: &Image) -> io::Result<()> {
        let base = image.base.bytes();
        for Change { place, .. } in image.changes().take_while(|change| change.place.start < base.len()) {
            self.space.copy(place.start, &base[place.start..place.end.min(base.len())]);
        }
        self.space.unmap(base.len().min(self.length)..self.length)?;
        self.length = self.length.min(base.len());
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

    /// Removes everything that a tenant wrote who started from `image`. `warm`: leave pages in place, as the image has
    /// them. After an error the slot must be dropped.
    pub fn reset(&mut self, image: &Image, warm: bool) -> io::Result<()> {
        if !warm || !pagemap::is_supported() {
            return self.fill(image);
        }
        self.space.unmap(image.length()..self.length)?;
        self.length = image.length();
        let written = pagemap::written(self.start().as_ptr(), self.length);
        if written.iter().map(ExactSizeIterator::len).sum::<usize>() > KEPT {
            return self.fill(image);
        }
        let page = space::page();
        let zeros = vec![0; page];
        for at in written.into_iter().flat_map(|range| range.step_by(page)) {
            self.space.copy(at, image.page(at).unwrap_or(&zeros));
        }
        Ok(())
    }

    /// Makes everything zeros again, and gives the access back that a [`Polled`](super::Polled) may have taken. After an
    /// error the slot must be dropped.
    pub fn clear(&mut self) -> io::Result<()> {
        self.space.map_zeros(0..self.length)
    }
}
