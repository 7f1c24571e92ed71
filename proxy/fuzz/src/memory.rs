//! An allocator that counts what the proxy holds: every allocation while its event loop turns.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

/// The system's allocator, counted.
pub struct Counting;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static GROWN: AtomicIsize = AtomicIsize::new(0);

/// Forgets what was counted.
pub fn reset() {
    GROWN.store(0, Relaxed);
}

/// Counts from now on, or not.
pub fn count(is_counting: bool) {
    IS_COUNTING.store(is_counting, Relaxed);
}

/// Bytes allocated less those freed, while it was counted.
pub fn grown() -> isize {
    GROWN.load(Relaxed)
}

fn note(bytes: usize, is_freed: bool) {
    if IS_COUNTING.load(Relaxed) {
        let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
        GROWN.fetch_add(if is_freed { -bytes } else { bytes }, Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), false);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(layout.size(), true);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}
