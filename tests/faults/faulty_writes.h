#pragma once

#include <cstddef>

/// A library in front of the C library's functions by which files are written: it makes one call fail, as a full disk
/// or a broken one would, or ends the process there. It minds the temporary files of AtomicFile alone. Linked into a
/// test, or loaded into the program by LD_PRELOAD, it is told what to do by the environment:
///
///   DETENT_FAULT=<call>:<number>:<what>
///     call     open, write, fsync, close, rename, unlink, or any
///     number   which of these calls, counted from 1 since the variable had another value; 0: every one
///     what     ENOSPC, EDQUOT, EFBIG, EIO, EACCES, EMFILE, EINTR: the call fails so
///              HALF: half of the bytes are written; ONE: one byte is; NONE: none is
///              KILL: the process is killed there, in a write after half of the bytes
///   DETENT_FAULT_LOG=FILE: a line for every call is appended, "write .fp32.h5.detent-12-0.tmp"
extern "C" std::size_t faulty_calls();  ///< calls so far, of those that DETENT_FAULT names
extern "C" void faulty_restart();       ///< counts from 1 again
