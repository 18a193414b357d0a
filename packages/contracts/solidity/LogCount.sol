// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title Counts a contract's events
/// @notice Of events that decide a settlement none may be missing. Who reads the logs compares, and
/// sees that an endpoint left one out.
abstract contract LogCount {
    /// Events emitted so far that are counted.
    uint32 public logCount;
}
