// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Bls12381} from "./Bls12381.sol";
import {CheckpointContainer} from "./CheckpointContainer.sol";
import {Absent, Committee, CommitteeWord} from "./CommitteeWord.sol";
import {Signing} from "./Signing.sol";

/// @title The chain of checkpoints of one network
/// @notice Anyone submits a checkpoint; it is accepted when its parent is the last accepted one and
/// more than two thirds of the committee's weight signed it. The last `KEPT` roots can be asked
/// for what they commit to; older ones follow from `parent` links.
contract Checkpoints {
    using Bls12381 for bytes32[4];
    using Bls12381 for bytes32[8];
    using CheckpointContainer for bytes;
    using CommitteeWord for Committee;

    event Started(uint64 genesis, bytes32 network, bytes32 root, bytes checkpoint);
    event Accepted(
        uint64 indexed epoch, bytes32 root, uint64 round, address submitter, bytes checkpoint
    );

    error NotStarter(address sender);
    error AlreadyStarted();
    error NotStarted();
    error GenesisPassed(uint64 genesis, uint256 time);
    error WrongLength(uint256 expected, uint256 found);
    error WrongEpoch(uint64 expected, uint64 found);
    error WrongParent(bytes32 expected, bytes32 found);
    error WrongCommittee(bytes32 expected, bytes32 found);
    error NoQuorum(uint256 signed, uint256 total);
    error Infinity();
    error BadSignature();
    error EpochNotKept(uint64 epoch);

    /// Roots kept for `verify`: ten days of hourly epochs. A power of two, so that the genesis
    /// checkpoint's epoch, 2^64 - 1, is followed by 0 in the ring too.
    uint64 public constant KEPT = 256;

    /// Epoch field of the genesis checkpoint.
    uint64 private constant GENESIS_EPOCH = type(uint64).max;

    /// The one account that may call `start`, once.
    address public immutable starter;

    /// Start of epoch 0 in seconds since 1970; 0 before `start`.
    uint64 public genesis;
    uint64 public lastEpoch;

    /// Word of the committee that signs the next checkpoint.
    bytes32 public committeeWord;

    bytes32[KEPT] private _roots;

    constructor() {
        starter = msg.sender;
    }

    /// Fixes the network: its genesis, and with it its id, its first committee and the checkpoint
    /// that epoch 0 follows.
    function start(uint64 genesis_, bytes32 committeeWord_, bytes calldata checkpoint) external {
        if (msg.sender != starter) revert NotStarter(msg.sender);
        if (genesis != 0) revert AlreadyStarted();
        if (genesis_ <= block.timestamp) revert GenesisPassed(genesis_, block.timestamp);
        _checkLength(checkpoint);
        uint64 epoch = checkpoint.epoch();
        if (epoch != GENESIS_EPOCH) revert WrongEpoch(GENESIS_EPOCH, epoch);
        bytes32 parent = checkpoint.parent();
        if (parent != 0) revert WrongParent(0, parent);
        bytes32 next = checkpoint.nextCommittee();
        if (next != committeeWord_) revert WrongCommittee(committeeWord_, next);

        bytes32 root = checkpoint.hashTreeRoot();
        genesis = genesis_;
        lastEpoch = GENESIS_EPOCH;
        committeeWord = next;
        // Storage that was never zero costs 17,100 gas less to write: the ring is paid for here, once,
        // and every submission costs the same from the first.
        for (uint256 i = 0; i < KEPT; ++i) _roots[i] = root;
        emit Started(genesis_, networkId(genesis_), root, checkpoint);
    }

    /// Accepts the checkpoint of the next epoch.
    /// @param checkpoint SSZ bytes of the container
    /// @param round voting round that the committee's signature names
    /// @param committee the committee behind `committeeWord`
    /// @param absent its members whose signatures are missing
    /// @param signature sum of the others' signatures, a G2 point
    function submit(
        bytes calldata checkpoint,
        uint64 round,
        Committee calldata committee,
        Absent calldata absent,
        bytes32[8] calldata signature
    ) external {
        uint64 genesis_ = genesis;
        if (genesis_ == 0) revert NotStarted();
        _checkLength(checkpoint);
        uint64 epoch = _follow(checkpoint);
        bytes32 word = committeeWord;
        if (committee.word() != word) revert WrongCommittee(word, committee.word());

        bytes32 root = checkpoint.hashTreeRoot();
        _checkQuorum(committee, absent, voteSigningRoot(genesis_, epoch, round, root), signature);

        lastEpoch = epoch;
        bytes32 next = checkpoint.nextCommittee();
        if (next != word) committeeWord = next;
        _roots[epoch % KEPT] = root;
        emit Accepted(epoch, root, round, msg.sender, checkpoint);
    }

    /// True iff the checkpoint of `epoch` commits to `leaf`.
    /// @param field position of the field in the container
    /// @param leaf root of the list's element; of the field itself where that is no list
    /// @param index place in the list, 0 where the field is no list
    /// @param path siblings from the leaf upwards: 32 levels of messages and payouts, 24 of
    /// penalties and deals, then the node with the list's length; last four levels of the container
    function verify(
        uint64 epoch,
        uint8 field,
        bytes32 leaf,
        uint256 index,
        bytes32[] calldata path
    ) external view returns (bool) {
        bytes32 root = rootOf(epoch);
        if (field >= CheckpointContainer.FIELDS) return false;
        uint256 depth = CheckpointContainer.listDepth(field);
        uint256 levels = depth == 0 ? 4 : depth + 5;
        if (path.length != levels) return false;
        // Beyond its length a list has empty leaves, which are no elements.
        uint256 length = 1;
        if (depth != 0) length = uint64(Signing.littleEndian(uint64(bytes8(path[depth]))));
        if (index >= length) return false;
        // The length stands to the right of the list's tree; the field above both.
        uint256 position = depth == 0 ? field : index | (uint256(field) << (depth + 1));
        bytes32 node = leaf;
        for (uint256 i = 0; i < levels; ++i) {
            node = (position >> i) & 1 == 0
                ? sha256(abi.encodePacked(node, path[i]))
                : sha256(abi.encodePacked(path[i], node));
        }
        return node == root;
    }

    /// Root of an accepted checkpoint among the last `KEPT`.
    function rootOf(uint64 epoch) public view returns (bytes32) {
        // Counted from the genesis checkpoint, whose epoch wraps to 0.
        uint64 age;
        bool known;
        unchecked {
            known = genesis != 0 && epoch + 1 <= lastEpoch + 1;
            age = lastEpoch - epoch;
        }
        if (!known || age >= KEPT) revert EpochNotKept(epoch);
        return _roots[epoch % KEPT];
    }

    /// The same, once what it commits to may be acted on.
    function activeRootOf(uint64 epoch) external view returns (bytes32) {
        return rootOf(epoch);
    }

    /// sha256(SSZ{chain id, address of this contract, genesis}).
    function networkId(uint64 genesis_) public view returns (bytes32) {
        return sha256(
            abi.encodePacked(
                Signing.littleEndian(uint64(block.chainid)),
                address(this),
                Signing.littleEndian(genesis_)
            )
        );
    }

    /// What the committee signs: the vote's domain with sha256(SSZ{epoch, round, checkpoint}).
    function voteSigningRoot(uint64 genesis_, uint64 epoch, uint64 round, bytes32 root)
        public
        view
        returns (bytes32)
    {
        bytes32 vote = sha256(
            abi.encodePacked(Signing.littleEndian(epoch), Signing.littleEndian(round), root)
        );
        return Signing.signingRoot(Signing.VOTE, networkId(genesis_), vote);
    }

    function _checkLength(bytes calldata checkpoint) private pure {
        if (checkpoint.length != CheckpointContainer.LENGTH) {
            revert WrongLength(CheckpointContainer.LENGTH, checkpoint.length);
        }
    }

    /// Epoch of a checkpoint that continues the last accepted one.
    function _follow(bytes calldata checkpoint) private view returns (uint64 epoch) {
        uint64 last = lastEpoch;
        uint64 expected;
        unchecked {
            expected = last + 1;
        }
        epoch = checkpoint.epoch();
        if (epoch != expected) revert WrongEpoch(expected, epoch);
        bytes32 parent = checkpoint.parent();
        bytes32 root = _roots[last % KEPT];
        if (parent != root) revert WrongParent(root, parent);
    }

    function _checkQuorum(
        Committee calldata committee,
        Absent calldata absent,
        bytes32 message,
        bytes32[8] calldata signature
    ) private view {
        (bytes32[4] memory key, uint256 signed) = CommitteeWord.present(committee, absent);
        if (3 * signed <= 2 * committee.weight) revert NoQuorum(signed, committee.weight);
        if (key.isInfinity() || signature.isInfinity()) revert Infinity();
        if (!key.verify(message, signature)) revert BadSignature();
    }
}
