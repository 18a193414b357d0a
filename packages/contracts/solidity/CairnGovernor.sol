// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {GovernorCountingSimple} from
    "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorPreventLateQuorum} from
    "@openzeppelin/contracts/governance/extensions/GovernorPreventLateQuorum.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorTimelockControl} from
    "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {GovernorVotesQuorumFraction} from
    "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Access} from "./Access.sol";
import {CairnToken} from "./CairnToken.sol";
import {NodeRegistry} from "./NodeRegistry.sol";

/// @title Votes of a network's token holders
/// @notice A vote weighs the tokens delegated to an account, and the bonds of its nodes that have not
/// asked to leave, both as they were when voting began: nothing borrowed within a transaction
/// counts. What has passed waits in the timelock. The guardian can cancel a proposal at any time
/// before, but not one that is only about who the guardian is.
contract CairnGovernor is
    Governor,
    GovernorSettings,
    GovernorCountingSimple,
    GovernorVotes,
    GovernorVotesQuorumFraction,
    GovernorPreventLateQuorum,
    GovernorTimelockControl
{
    error AboutTheGuardian(address guardian);

    /// Times in seconds.
    struct Rules {
        uint48 votingDelay;
        uint32 votingPeriod;
        /// Voting goes on for so long, at least, once the quorum is reached.
        uint48 lateExtension;
        /// Base units that a proposer has at least.
        uint256 threshold;
        /// Votes that a proposal needs, parts per million of all tokens.
        uint256 quorum;
    }

    NodeRegistry public immutable registry;
    Access public immutable access;

    constructor(
        CairnToken token_,
        NodeRegistry registry_,
        Access access_,
        TimelockController timelock_,
        Rules memory rules
    )
        Governor("Cairn")
        GovernorSettings(rules.votingDelay, rules.votingPeriod, rules.threshold)
        GovernorVotes(token_)
        GovernorVotesQuorumFraction(rules.quorum)
        GovernorPreventLateQuorum(rules.lateExtension)
        GovernorTimelockControl(timelock_)
    {
        registry = registry_;
        access = access_;
    }

    /// Cancels a proposal: its proposer before voting begins, the guardian until it is carried out.
    function cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) public override returns (uint256) {
        uint256 id = getProposalId(targets, values, calldatas, descriptionHash);
        bool byProposer = super._validateCancel(id, _msgSender());
        if (!byProposer && _isGuardian(_msgSender()) && _onlyAboutGuardian(targets, calldatas)) {
            revert AboutTheGuardian(_msgSender());
        }
        return super.cancel(targets, values, calldatas, descriptionHash);
    }

    function state(uint256 id)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (ProposalState)
    {
        return super.state(id);
    }

    function proposalDeadline(uint256 id)
        public
        view
        override(Governor, GovernorPreventLateQuorum)
        returns (uint256)
    {
        return super.proposalDeadline(id);
    }

    function proposalNeedsQueuing(uint256 id)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(id);
    }

    function proposalThreshold()
        public
        view
        override(Governor, GovernorSettings)
        returns (uint256)
    {
        return super.proposalThreshold();
    }

    /// The quorum is in parts per million.
    function quorumDenominator() public pure override returns (uint256) {
        return 1_000_000;
    }

    function _getVotes(address account, uint256 timepoint, bytes memory params)
        internal
        view
        override(Governor, GovernorVotes)
        returns (uint256)
    {
        return super._getVotes(account, timepoint, params)
            + registry.bondedAt(account, timepoint);
    }

    function _validateCancel(uint256 id, address caller) internal view override returns (bool) {
        return _isGuardian(caller) || super._validateCancel(id, caller);
    }

    function _tallyUpdated(uint256 id) internal override(Governor, GovernorPreventLateQuorum) {
        super._tallyUpdated(id);
    }

    function _queueOperations(
        uint256 id,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(id, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 id,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(id, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor()
        internal
        view
        override(Governor, GovernorTimelockControl)
        returns (address)
    {
        return super._executor();
    }

    function _isGuardian(address account) private view returns (bool guardian) {
        (guardian,) = access.hasRole(access.GUARDIAN(), account);
    }

    /// Every call gives the guardian's role to an account or takes it from one.
    function _onlyAboutGuardian(address[] memory targets, bytes[] memory calldatas)
        private
        view
        returns (bool)
    {
        for (uint256 i = 0; i < targets.length; ++i) {
            if (targets[i] != address(access) || calldatas[i].length < 36) return false;
            bytes memory data = calldatas[i];
            // A selector is the first word's left end, and the role is the first argument.
            bytes4 selector = bytes4(data);
            bool known = selector == IAccessManager.grantRole.selector
                || selector == IAccessManager.revokeRole.selector;
            if (!known || _wordAt(data, 4) != access.GUARDIAN()) return false;
        }
        return true;
    }

    function _wordAt(bytes memory data, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), offset))
        }
    }
}
