// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {CairnGovernor} from "../../solidity/CairnGovernor.sol";
import {Timelock} from "../../solidity/Timelock.sol";
import {Network} from "./Network.sol";

/// @notice A proposal as the governor is told of it each time.
struct Motion {
    address[] targets;
    uint256[] values;
    bytes[] calldatas;
    string description;
}

/// @title A network whose roles were handed over: to the timelock, and to a guardian
abstract contract Assembly is Network {
    uint48 internal constant VOTING_DELAY = 10;
    uint32 internal constant VOTING_PERIOD = 100;
    uint48 internal constant LATE_EXTENSION = 40;
    uint256 internal constant THRESHOLD = 1000 ether;
    /// Parts per million of 10^9 tokens: 10,000 tokens.
    uint256 internal constant QUORUM = 10;
    uint256 internal constant TIMELOCK_DELAY = 30;
    address internal constant GUARDIAN = address(0x94a4d);

    Timelock public timelock;
    CairnGovernor public governor;

    function convene() internal {
        deployAll();
        uint256 nonce = vm.getNonce(address(this));
        timelock =
            new Timelock(TIMELOCK_DELAY, vm.computeCreateAddress(address(this), nonce + 1));
        governor = new CairnGovernor(
            token,
            registry,
            access,
            timelock,
            CairnGovernor.Rules(VOTING_DELAY, VOTING_PERIOD, LATE_EXTENSION, THRESHOLD, QUORUM)
        );
        bytes4[] memory cancel = new bytes4[](1);
        cancel[0] = checkpoints.cancel.selector;
        bytes4[] memory setCommittee = new bytes4[](1);
        setCommittee[0] = checkpoints.setCommittee.selector;
        bytes4[] memory ofParameters = new bytes4[](2);
        ofParameters[0] = parameters.set.selector;
        ofParameters[1] = parameters.add.selector;
        access.setTargetFunctionRole(address(checkpoints), cancel, 1);
        access.setTargetFunctionRole(address(checkpoints), setCommittee, 2);
        access.setTargetFunctionRole(address(parameters), ofParameters, 2);
        access.grantRole(1, GUARDIAN, 0);
        access.grantRole(2, address(timelock), 0);
        access.grantRole(0, address(timelock), 0);
        access.renounceRole(0, address(this));
    }

    /// An account with so many tokens, delegated to itself.
    function holder(uint160 number, uint256 amount) internal returns (address account) {
        account = address(0xa000 + number);
        assert(token.transfer(account, amount));
        vm.prank(account);
        token.delegate(account);
    }

    function setting(bytes32 name, uint256 value) internal view returns (Motion memory motion) {
        motion = calling(address(parameters), abi.encodeCall(parameters.set, (name, value)));
    }

    function calling(address callee, bytes memory data)
        internal
        pure
        returns (Motion memory motion)
    {
        motion.targets = new address[](1);
        motion.values = new uint256[](1);
        motion.calldatas = new bytes[](1);
        (motion.targets[0], motion.calldatas[0]) = (callee, data);
        motion.description = "as it says";
    }

    function both(Motion memory one, Motion memory other)
        internal
        pure
        returns (Motion memory motion)
    {
        motion.targets = new address[](2);
        motion.values = new uint256[](2);
        motion.calldatas = new bytes[](2);
        (motion.targets[0], motion.targets[1]) = (one.targets[0], other.targets[0]);
        (motion.calldatas[0], motion.calldatas[1]) = (one.calldatas[0], other.calldatas[0]);
        motion.description = "both";
    }

    function propose(address by, Motion memory motion) internal returns (uint256) {
        vm.warp(block.timestamp + 1);
        vm.prank(by);
        return governor.propose(
            motion.targets, motion.values, motion.calldatas, motion.description
        );
    }

    function castFor(address by, uint256 id) internal {
        vm.prank(by);
        governor.castVote(id, 1);
    }

    function queue(Motion memory motion) public {
        governor.queue(motion.targets, motion.values, motion.calldatas, hashOf(motion));
    }

    function execute(Motion memory motion) public {
        governor.execute(motion.targets, motion.values, motion.calldatas, hashOf(motion));
    }

    function cancel(Motion memory motion, address by) internal {
        vm.prank(by);
        governor.cancel(motion.targets, motion.values, motion.calldatas, hashOf(motion));
    }

    /// Votes a motion through, up to where it can be carried out.
    function pass(address by, Motion memory motion) internal returns (uint256 id) {
        id = propose(by, motion);
        vm.warp(block.timestamp + VOTING_DELAY + 1);
        castFor(by, id);
        vm.warp(governor.proposalDeadline(id) + 1);
        queue(motion);
        vm.warp(block.timestamp + TIMELOCK_DELAY);
    }

    function isIn(uint256 id, IGovernor.ProposalState state) internal view returns (bool) {
        return governor.state(id) == state;
    }

    function hashOf(Motion memory motion) internal pure returns (bytes32) {
        return keccak256(bytes(motion.description));
    }
}
