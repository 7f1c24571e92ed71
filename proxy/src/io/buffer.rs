//! Byte buffers and the worker's pool of them.

use std::cell::{Cell, RefCell};

/// First buffer of a connection: holds most request heads, costs little while it waits.
pub const SMALL_BUFFER_BYTES: usize = 4 * 1024;

/// Buffers of exchanges: few sends for a large body (measured with 64 KiB bodies), while a client
/// that does not read holds no more than 64 KiB with all that belongs to its connection (http1
/// G3). It includes room for a rewritten head before the body, and for the framing behind it.
pub const LARGE_BUFFER_BYTES: usize = 48 * 1024;

/// Kept free before a response, so that its head can grow in place: our own fields, chunk size.
pub const HEAD_ROOM_BYTES: usize = 1024;

/// Kept free behind body bytes: the end of a chunk and of a chunked body.
pub const TAIL_ROOM_BYTES: usize = 64;

/// A growing line of bytes of which the first have been used up: `start..len` is what is there.
#[derive(Debug, Default)]
pub struct Buf {
    bytes: Vec<u8>,
    start: usize,
}

impl Buf {
    /// Takes over a vector whose first `start` bytes do not count.
    #[must_use]
    pub fn from_parts(bytes: Vec<u8>, start: usize) -> Self {
        debug_assert!(start <= bytes.len(), "start lies inside the bytes");
        Self { bytes, start }
    }

    /// The vector and where its first valid byte is.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, usize) {
        (self.bytes, self.start)
    }

    /// What is there.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or(&[])
    }

    /// What is there, to be changed in place.
    #[must_use]
    pub fn filled_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or(&mut [])
    }

    /// Bytes that are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == self.start
    }

    /// Bytes that fit behind what is there without growing.
    #[must_use]
    pub fn spare(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// Bytes that it holds on to, used or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Makes room for `more` bytes behind what is there.
    pub fn reserve(&mut self, more: usize) {
        self.bytes.reserve_exact(more);
    }

    /// Uses up the first `count` bytes.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.clear();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Forgets everything from `length` on.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(self.start + length);
    }

    /// Moves what is there to the front, so that `spare` is as large as it can be.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Appends.
    pub fn extend(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
    }

    /// Empties it and leaves `room` bytes before whatever comes.
    pub fn reset_with_room(&mut self, room: usize) {
        // What the bytes of the room are does not matter, so those that are there stay.
        self.bytes.resize(room, 0);
        self.start = room;
    }

    /// Puts `head` right before `filled()[offset..]`, over what stands there: used-up bytes, the
    /// room, or the first `offset` bytes, which are replaced by it. False, and nothing done, when
    /// it does not fit.
    #[must_use]
    pub fn put_before(&mut self, offset: usize, head: &[u8]) -> bool {
        let end = self.start + offset;
        let Some(begin) = end.checked_sub(head.len()) else { return false };
        let Some(place) = self.bytes.get_mut(begin..end) else { return false };
        place.copy_from_slice(head);
        self.start = begin;
        true
    }
}

/// Recycled buffers of one worker, so that a warm exchange allocates nothing.
#[derive(Debug, Default)]
pub struct BufferPool {
    small: Shelf,
    large: Shelf,
}

#[derive(Debug, Default)]
struct Shelf {
    buffers: RefCell<Vec<Vec<u8>>>,
    /// Fewest buffers on the shelf since the last trim: those were not needed.
    spare_min: Cell<usize>,
}

impl Shelf {
    fn take(&self, capacity: usize) -> Vec<u8> {
        let mut buffers = self.buffers.borrow_mut();
        let taken = buffers.pop();
        self.spare_min.set(self.spare_min.get().min(buffers.len()));
        taken.unwrap_or_else(|| Vec::with_capacity(capacity))
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.buffers.borrow_mut().push(buffer);
    }

    fn empty(&self) {
        self.buffers.take();
        self.spare_min.set(0);
    }

    fn trim(&self) {
        let mut buffers = self.buffers.borrow_mut();
        // Half of what lay unused, so that a lull frees memory and a burst does not find it bare.
        let surplus = self.spare_min.get().div_ceil(2);
        let keep = buffers.len().saturating_sub(surplus);
        buffers.truncate(keep);
        self.spare_min.set(buffers.len());
    }
}

impl BufferPool {
    /// An empty buffer of [`SMALL_BUFFER_BYTES`].
    #[must_use]
    pub fn take_small(&self) -> Buf {
        Buf::from_parts(self.small.take(SMALL_BUFFER_BYTES), 0)
    }

    /// An empty buffer of [`LARGE_BUFFER_BYTES`].
    #[must_use]
    pub fn take_large(&self) -> Buf {
        Buf::from_parts(self.large.take(LARGE_BUFFER_BYTES), 0)
    }

    /// Takes a buffer back; one of another size is freed.
    pub fn give_back(&self, buffer: Buf) {
        let (bytes, _) = buffer.into_parts();
        match bytes.capacity() {
            SMALL_BUFFER_BYTES => self.small.give_back(bytes),
            LARGE_BUFFER_BYTES => self.large.give_back(bytes),
            _other => {}
        }
    }

    /// Frees every buffer that nobody uses.
    pub fn empty(&self) {
        self.small.empty();
        self.large.empty();
    }

    /// Frees half of what lay unused since the last call.
    pub fn trim(&self) {
        self.small.trim();
        self.large.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_grows_into_the_room_before_the_body() {
        let mut buffer = Buf::default();
        buffer.reset_with_room(8);
        buffer.extend(b"old|body");
        assert!(buffer.put_before(4, b"longer head|"), "4 used up and 8 of room");
        assert_eq!(buffer.filled(), b"longer head|body");
        assert!(!buffer.put_before(0, b"x"), "the room is used up");
    }

    #[test]
    fn consuming_everything_makes_the_whole_capacity_free_again() {
        let mut buffer = Buf::from_parts(Vec::with_capacity(16), 0);
        buffer.extend(b"0123456789");
        buffer.consume(4);
        assert_eq!((buffer.filled(), buffer.spare()), (&b"456789"[..], 6));
        buffer.compact();
        assert_eq!((buffer.filled(), buffer.spare()), (&b"456789"[..], 10));
        buffer.consume(6);
        assert_eq!((buffer.len(), buffer.spare()), (0, 16));
    }

    #[test]
    fn the_pool_hands_the_same_memory_out_again_and_frees_what_lies_unused() {
        let pool = BufferPool::default();
        let first = pool.take_large();
        let address = first.bytes.as_ptr();
        pool.give_back(first);
        let second = pool.take_large();
        assert_eq!(second.bytes.as_ptr(), address);
        pool.give_back(second);
        pool.trim();
        assert_eq!(pool.large.buffers.borrow().len(), 1, "it was in use since the last trim");
        pool.trim();
        assert_eq!(pool.large.buffers.borrow().len(), 0, "it lay unused");
    }

    #[test]
    fn a_buffer_that_grew_is_not_pooled() {
        let pool = BufferPool::default();
        let mut buffer = pool.take_small();
        buffer.extend(&[0; SMALL_BUFFER_BYTES + 1]);
        pool.give_back(buffer);
        assert_eq!(pool.small.buffers.borrow().len(), 0);
    }
}
