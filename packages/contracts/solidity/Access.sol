// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @title Who may do what: every role of the network in one place
/// @notice There are two beside the admin. The guardian cancels checkpoints before they are active.
/// The council sets a committee where none signs and too few check in.
contract Access is AccessManager {
    uint64 public constant GUARDIAN = 1;
    uint64 public constant COUNCIL = 2;

    constructor(address admin) AccessManager(admin) {}
}
