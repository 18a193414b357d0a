// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Bls12381} from "./Bls12381.sol";
import {Checkpoints} from "./Checkpoints.sol";
import {NodeRegistry} from "./NodeRegistry.sol";
import {Parameters} from "./Parameters.sol";
import {PayoutTree} from "./PayoutTree.sol";
import {Signing} from "./Signing.sol";

/// @notice A vote as a committee member signed it.
struct SignedVote {
    /// Root of the checkpoint voted for.
    bytes32 checkpoint;
    /// A G2 point.
    bytes32[8] signature;
}

/// @notice A leaf of a checkpoint's penalties.
struct Penalty {
    uint32 node;
    /// Base units.
    uint128 amount;
    /// Id of a message that anybody verifies again.
    bytes32 evidence;
}

/// @title Takes bond for what is proven, and for nothing else
/// @notice Two votes of one node in one round are proven here by their signatures. What else a
/// network punishes stands in the penalties of an active checkpoint. A node is punished once for an
/// epoch's messages, and all nodes together up to a part of all bonds. Who brings the proof gets a
/// share, the rest is burned. Not to answer, not to vote, to be slow or away costs no bond: there is
/// no call for it.
contract Slasher {
    using Bls12381 for bytes32[4];

    event Slashed(
        uint64 indexed epoch,
        uint32 indexed node,
        uint256 amount,
        bytes32 evidence,
        address reporter
    );

    error OtherKey(uint32 node);
    error SameVote();
    error BadSignature(uint256 which);
    error NotInPenalties();
    error AlreadyPunished(uint64 epoch, uint32 node);
    error NothingToTake(uint32 node);
    error CapReached(uint64 epoch, uint256 cap);

    uint256 private constant PPM = 1_000_000;
    /// Position of `penalties` in a checkpoint.
    uint8 private constant PENALTIES = 6;
    /// Parameters, parts per million: of the bond for two votes, of the penalty to who proves it,
    /// and of all bonds that are taken for an epoch at most.
    bytes32 private constant PENALTY = "penalty";
    bytes32 private constant REPORTER_SHARE = "reporterShare";
    bytes32 private constant PENALTY_CAP = "penaltyCap";

    NodeRegistry public immutable registry;
    Checkpoints public immutable checkpoints;
    Parameters public immutable parameters;

    /// By epoch of the messages that the offence is in.
    mapping(uint64 epoch => mapping(uint32 node => bool)) public punished;
    mapping(uint64 epoch => uint256) public taken;
    /// Base units, fixed by the first penalty of an epoch.
    mapping(uint64 epoch => uint256) public capOf;

    constructor(
        NodeRegistry registry_,
        Checkpoints checkpoints_,
        Parameters parameters_
    ) {
        registry = registry_;
        checkpoints = checkpoints_;
        parameters = parameters_;
    }

    /// Punishes two different votes of one node for one epoch and round. Votes for an epoch are
    /// messages of the next: a penalty for the same in that checkpoint falls away, and so does this
    /// one after it.
    /// @param key the node's voting key
    function doubleVote(
        uint32 node,
        bytes32[4] calldata key,
        uint64 epoch,
        uint64 round,
        SignedVote[2] calldata votes
    ) external returns (uint256 amount) {
        if (registry.indexOfVoting(keccak256(abi.encode(key))) != node + 1) revert OtherKey(node);
        if (votes[0].checkpoint == votes[1].checkpoint) revert SameVote();
        uint64 genesis = checkpoints.genesis();
        bytes32[4] memory point = key;
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 message =
                checkpoints.voteSigningRoot(genesis, epoch, round, votes[i].checkpoint);
            if (!point.verify(message, votes[i].signature)) revert BadSignature(i);
        }
        (,,,, uint96 bond,,,,,,) = registry.nodes(node);
        bytes32 first = votes[0].checkpoint < votes[1].checkpoint
            ? votes[0].checkpoint
            : votes[1].checkpoint;
        amount = _punish(epoch + 1, node, uint256(bond) * parameters.get(PENALTY) / PPM, first);
    }

    /// Takes what an active checkpoint's penalties say.
    /// @param path as `Checkpoints.verify` has it
    function penalise(
        uint64 epoch,
        Penalty calldata leaf,
        uint256 index,
        bytes32[] calldata path
    ) external returns (uint256 amount) {
        if (!checkpoints.verify(epoch, PENALTIES, leafRoot(leaf), index, path)) {
            revert NotInPenalties();
        }
        amount = _punish(epoch, leaf.node, leaf.amount, leaf.evidence);
    }

    /// hash_tree_root of the container (node, amount, evidence).
    function leafRoot(Penalty calldata leaf) public view returns (bytes32) {
        uint256 node = uint256(Signing.littleEndian(leaf.node)) << 192;
        uint256 amount = uint256(Signing.littleEndian128(leaf.amount)) << 128;
        return PayoutTree.hashPair(
            PayoutTree.hashPair(bytes32(node), bytes32(amount)),
            PayoutTree.hashPair(leaf.evidence, 0)
        );
    }

    function _punish(uint64 epoch, uint32 node, uint256 amount, bytes32 evidence)
        private
        returns (uint256)
    {
        if (punished[epoch][node]) revert AlreadyPunished(epoch, node);
        punished[epoch][node] = true;
        uint256 cap = capOf[epoch];
        if (cap == 0) {
            cap = registry.totalBond() * parameters.get(PENALTY_CAP) / PPM;
            capOf[epoch] = cap;
        }
        (,,,, uint96 bond,,,,,,) = registry.nodes(node);
        if (amount > bond) amount = bond;
        if (amount == 0) revert NothingToTake(node);
        uint256 left = cap - taken[epoch];
        if (left == 0) revert CapReached(epoch, cap);
        if (amount > left) amount = left;
        taken[epoch] += amount;
        emit Slashed(epoch, node, amount, evidence, msg.sender);
        uint256 share = amount * parameters.get(REPORTER_SHARE) / PPM;
        registry.slash(node, amount, msg.sender, share);
        return amount;
    }
}
