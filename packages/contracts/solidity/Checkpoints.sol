// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {Bls12381} from "./Bls12381.sol";
import {CheckpointContainer} from "./CheckpointContainer.sol";
import {Absent, Committee, CommitteeWord} from "./CommitteeWord.sol";
import {NodeRegistry} from "./NodeRegistry.sol";
import {Signing} from "./Signing.sol";

/// @title The chain of checkpoints of one network
/// @notice Anyone submits a checkpoint; it is accepted when its parent is the last accepted one and
/// more than two thirds of the committee's weight signed it. It is acted upon only `activationDelay`
/// later. Until then anyone can have it cancelled who shows that the committee it names is not one
/// of registered nodes, and so can the guardian; with it go all that follow it, and the epoch is
/// voted again. Where no checkpoint is accepted for long, the nodes that check in form the committee.
/// The last `KEPT` roots can be asked for what they commit to; older ones follow from `parent` links.
/// On a further chain the same contract is a mirror: it has no registry, and repeats what the home
/// chain accepted by the same signatures.
contract Checkpoints is AccessManaged {
    using Bls12381 for bytes32[4];
    using Bls12381 for bytes32[8];
    using CheckpointContainer for bytes;
    using CommitteeWord for Committee;

    event Started(uint64 genesis, bytes32 network, bytes32 root, bytes checkpoint);
    event Accepted(
        uint64 indexed epoch, bytes32 root, uint64 round, address submitter, bytes checkpoint
    );
    /// With `epoch` all later ones.
    event Cancelled(uint64 indexed epoch, bytes32 root, address by);
    event FallbackOpened(uint64 indexed epoch, uint64 end);
    /// With the key: of a node that followers leave out they know none.
    event CheckedIn(
        uint64 indexed epoch, uint32 indexed node, uint32 place, uint256 weight, bytes32[4] key
    );
    event CommitteeSet(uint64 indexed epoch, bytes32 word);

    error NotStarter(address sender);
    error AlreadyStarted();
    error NotStarted();
    error IsMirror();
    error NotMirror();
    error GenesisPassed(uint64 genesis, uint256 time);
    error WrongEpoch(uint64 expected, uint64 found);
    error WrongParent(bytes32 expected, bytes32 found);
    error WrongCommittee(bytes32 expected, bytes32 found);
    error WrongCheckpoint(bytes32 expected, bytes32 found);
    error NoQuorum(uint256 signed, uint256 total);
    error Infinity();
    error BadSignature();
    error EpochNotKept(uint64 epoch);
    error NotActive(uint64 epoch, uint64 activeAt);
    error IsActive(uint64 epoch, uint64 activeAt);
    error RootCancelled(bytes32 root);
    error NoFault();
    error NotAllMembers(uint256 expected, uint256 found);
    error NotDue(uint256 due);
    error NotEligible(uint32 node);
    error AlreadyCheckedIn(uint32 node);
    error RoundTooHigh(uint64 round);
    error OtherWindow(uint64 expected, uint64 found);
    error WindowOpen(uint64 end);
    error NoWindow();
    error CommitteeWaits();
    error NoMajority(uint256 found, uint256 total);

    /// What a network is deployed with; times in seconds.
    struct Settings {
        /// From a checkpoint's acceptance to its being acted upon.
        uint64 activationDelay;
        /// Without acceptance for so long, nodes may check in.
        uint64 fallbackAfter;
        /// From the first check-in to the last.
        uint64 fallbackWindow;
        /// `activationDelay` of the first checkpoint of a committee that checked in or was set.
        uint64 fallbackDelay;
        /// Epochs that a committee serves for.
        uint64 termEpochs;
        /// Of a mirror: the id of the network whose checkpoints it repeats. Zero where this chain is
        /// the network's home, whose id follows from this contract.
        bytes32 home;
    }

    /// An accepted checkpoint, beside its root: one word.
    struct Entry {
        uint64 epoch;
        uint64 acceptedAt;
        uint64 activeAt;
        uint64 blockNumber;
        /// That its committee's signature names.
        uint64 round;
    }

    /// One word, read and written by each submission.
    struct State {
        /// Start of epoch 0 in seconds since 1970; 0 before `start`.
        uint64 genesis;
        uint64 lastEpoch;
        /// Of the last checkpoint.
        uint48 acceptedAt;
        uint48 activeAt;
        /// The committee is not the one that the last checkpoint names.
        bool exceptional;
        /// Epochs from the one that is due on of which a checkpoint was cancelled, or went with one;
        /// fewer than `KEPT`.
        uint16 again;
    }

    /// Nodes that check in, in order: their tree grows as they come.
    struct Fallback {
        uint64 opened;
        uint64 end;
        uint32 count;
        /// Windows so far: who checked in is remembered for each.
        uint64 id;
        /// A window of the same wait ended with too few.
        bool repeated;
        uint128 weight;
        /// Of all nodes as the window opened: who checks in and then asks to leave makes no majority
        /// of fewer.
        uint128 total;
        bytes32[4] key;
    }

    /// Roots kept for `verify`: ten days of hourly epochs. A power of two, so that the genesis
    /// checkpoint's epoch, 2^64 - 1, is followed by 0 in the ring too.
    uint64 public constant KEPT = 256;

    /// Rounds of one committee. Those of a committee that formed have the number of its window, modulo
    /// `WINDOWS`, above them: what its members had voted before is none of its votes.
    uint64 public constant ROUNDS = 2 ** 20;
    uint64 public constant WINDOWS = 2 ** 12;

    /// Epoch field of the genesis checkpoint.
    uint64 private constant GENESIS_EPOCH = type(uint64).max;

    /// The one account that may call `start`, once.
    address public immutable starter;
    NodeRegistry public immutable registry;
    uint64 public immutable activationDelay;
    uint64 public immutable fallbackAfter;
    uint64 public immutable fallbackWindow;
    uint64 public immutable fallbackDelay;
    uint64 public immutable termEpochs;
    bytes32 public immutable home;

    /// `State`, packed by hand: field by field the compiler writes the word six times.
    uint256 private _packedState;

    /// Word of the committee that signs the next checkpoint.
    bytes32 public committeeWord;

    /// By epoch mod `KEPT`; `Entry` is packed by hand too.
    bytes32[KEPT] private _roots;
    uint256[KEPT] private _packedEntries;

    /// Rounds below this one count no more for a root that was cancelled: nobody can bring it back by
    /// the signature that landed it. Who signs it again, in a later round, knows what they do; or one
    /// call of the guardian would end a network whose nodes all compute the same.
    mapping(bytes32 root => uint64) public cancelledBelow;

    /// Events beside those of the checkpoints that are accepted now.
    uint32 private _otherLogs;
    Fallback private _fallback;
    /// Roots of the full subtrees of those who checked in, by height.
    bytes32[32] private _branch;
    mapping(uint64 window => mapping(uint32 node => bool)) private _checkedIn;

    constructor(address authority_, NodeRegistry registry_, Settings memory settings)
        AccessManaged(authority_)
    {
        starter = msg.sender;
        registry = registry_;
        activationDelay = settings.activationDelay;
        fallbackAfter = settings.fallbackAfter;
        fallbackWindow = settings.fallbackWindow;
        fallbackDelay = settings.fallbackDelay;
        termEpochs = settings.termEpochs;
        home = settings.home;
    }

    /// Fixes the network: its genesis, and with it its id, its first committee and the checkpoint
    /// that epoch 0 follows. A mirror begins with any checkpoint of its network, at any time: whoever
    /// starts it is trusted for that one, and everybody can compare it with the home chain's.
    function start(uint64 genesis_, bytes32 committeeWord_, bytes calldata checkpoint) external {
        if (msg.sender != starter) revert NotStarter(msg.sender);
        if (_state().genesis != 0) revert AlreadyStarted();
        bytes32 root = checkpoint.checkedRoot();
        uint64 epoch = checkpoint.epoch();
        uint64 now_ = uint64(block.timestamp);
        // Nothing can be accepted before epoch 0 has passed: the wait begins with it.
        uint64 from = genesis_;
        if (home != 0) {
            if (genesis_ == 0) revert NotStarted();
            from = now_;
        } else {
            if (genesis_ <= now_) revert GenesisPassed(genesis_, now_);
            if (epoch != GENESIS_EPOCH) revert WrongEpoch(GENESIS_EPOCH, epoch);
            bytes32 parent = checkpoint.parent();
            if (parent != 0) revert WrongParent(0, parent);
        }
        bytes32 next = checkpoint.nextCommittee();
        if (next != committeeWord_) revert WrongCommittee(committeeWord_, next);

        _setState(State(genesis_, epoch, uint48(from), 0, false, 0));
        committeeWord = next;
        // Storage that was never zero costs 17,100 gas less to write: the ring is paid for here, once,
        // and every submission costs the same from the first.
        Entry memory entry = Entry(epoch, from, now_, uint64(block.number), 0);
        for (uint64 i = 0; i < KEPT; ++i) _setEntry(i, root, entry);
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
        State memory state = _state();
        if (state.genesis == 0) revert NotStarted();
        bytes32 root = checkpoint.checkedRoot();
        uint64 epoch = _follow(checkpoint, state.lastEpoch);
        bytes32 word = committeeWord;
        if (committee.word() != word) revert WrongCommittee(word, committee.word());
        if (round >> 48 != 0) revert RoundTooHigh(round);
        if (state.exceptional) _checkWindow(round);
        if (state.again != 0 && round < cancelledBelow[root]) revert RootCancelled(root);

        _checkQuorum(
            committee, absent, voteSigningRoot(state.genesis, epoch, round, root), signature
        );

        _accept(state, epoch, root, round);
        bytes32 next = checkpoint.nextCommittee();
        if (next != word) committeeWord = next;
        emit Accepted(epoch, root, round, msg.sender, checkpoint);
    }

    /// Cancels a checkpoint whose next committee has a member that was not registered with that key
    /// and weight. The committee of a term is drawn at the base of the term's first epoch t. Where t
    /// has a checkpoint, the bond is compared as of its base. The base of an epoch that has none yet
    /// lies between that of `epoch` and its acceptance: then a key counts as wrong that was
    /// registered after, or had left before, or never had so much bond.
    /// @param before the checkpoint of the epoch before
    /// @param term the checkpoint of t; empty where `epoch` is the last of its term
    /// @param member the one member, with its siblings
    function veto(
        uint64 epoch,
        bytes calldata before,
        bytes calldata checkpoint,
        bytes calldata term,
        Committee calldata committee,
        Absent calldata member
    ) external {
        if (home != 0) revert IsMirror();
        _checkNamed(epoch, checkpoint, committee);
        if (member.members.length != 1) revert NotAllMembers(1, member.members.length);
        CommitteeWord.prove(committee, member);
        uint64 first = (epoch + 1) / termEpochs * termEpochs;
        uint64 from = checkpoint.baseNumber();
        uint64 to = _entryOf(epoch).blockNumber;
        if (first <= epoch) {
            _checkCheckpoint(first, term);
            from = term.baseNumber();
            to = from;
        }
        bytes32 key = keccak256(abi.encode(member.members[0].key));
        if (_couldBe(key, member.members[0].weight, from, to)) revert NoFault();
        _cancel(epoch, before);
    }

    /// Cancels a checkpoint whose next committee has no members, or another key or weight than the sum
    /// of theirs.
    /// @param members all of them
    function vetoSum(
        uint64 epoch,
        bytes calldata before,
        bytes calldata checkpoint,
        Committee calldata committee,
        Absent calldata members
    ) external {
        _checkNamed(epoch, checkpoint, committee);
        uint256 found = members.members.length;
        if (found != committee.count) revert NotAllMembers(committee.count, found);
        if (found != 0) {
            CommitteeWord.prove(committee, members);
            (bytes32[4] memory key, uint256 weight) = CommitteeWord.sum(members);
            if (weight == committee.weight && keccak256(abi.encode(key)) == _hash(committee.key)) {
                revert NoFault();
            }
        }
        _cancel(epoch, before);
    }

    /// Cancels a checkpoint that is not active yet: the guardian's one power.
    function cancel(uint64 epoch, bytes calldata before) external restricted {
        _cancel(epoch, before);
    }

    /// Takes a node into the committee that forms where none has signed for `fallbackAfter`, whoever
    /// sends it. The first opens the window. Only bonds count that were there when the last checkpoint
    /// was accepted.
    /// @param key the node's voting key
    /// @param signature its signature over the epoch and the window, a G2 point
    function checkIn(uint32 node, bytes32[4] calldata key, bytes32[8] calldata signature) external {
        uint64 epoch = _requireDue();
        if (home != 0) revert IsMirror();
        Fallback storage fallback_ = _fallback;
        if (_isOver(fallback_)) {
            // Who holds a majority is not sent away by one who opens another window.
            bool waits = fallback_.opened > _state().acceptedAt;
            if (waits && _isMajority(fallback_)) revert CommitteeWaits();
            _open(fallback_, epoch, uint64(block.timestamp) + fallbackWindow);
            fallback_.repeated = waits;
        }
        _add(fallback_, epoch, node, key);
        bytes32 message = checkInSigningRoot(_state().genesis, epoch, fallback_.id);
        if (signature.isInfinity()) revert Infinity();
        if (!key.verify(message, signature)) revert BadSignature();
    }

    /// Makes those who checked in the committee, when they hold more than half of all weight.
    function formCommittee() external {
        uint64 epoch = _requireDue();
        Fallback storage fallback_ = _fallback;
        if (fallback_.opened <= _state().acceptedAt) revert NoWindow();
        if (block.timestamp <= fallback_.end) revert WindowOpen(fallback_.end);
        if (!_isMajority(fallback_)) revert NoMajority(fallback_.weight, fallback_.total);
        _form(fallback_, epoch);
    }

    /// Makes nodes the committee that did not check in: the council's power, from the end of a first
    /// window to which too few came, or after which a checkpoint of the epoch was cancelled, or where a
    /// committee that formed did not sign either. They come as if they had checked in, in a window of no
    /// length.
    /// @param keys their voting keys
    function setCommittee(uint32[] calldata nodes, bytes32[4][] calldata keys)
        external
        restricted
    {
        uint64 epoch = _requireDue();
        if (home != 0) revert IsMirror();
        Fallback storage fallback_ = _fallback;
        State memory state = _state();
        // More than a third that checks in and does not sign would keep out everybody else for good.
        if (!state.exceptional) {
            if (fallback_.opened <= state.acceptedAt) revert NoWindow();
            // Of later ones there is always one open: who checks in anew must not keep the council out.
            bool first = !fallback_.repeated;
            if (first && block.timestamp <= fallback_.end) revert WindowOpen(fallback_.end);
            // Whoever checked in comes first; but not where a checkpoint of this epoch was cancelled. Who
            // formed a committee would form it again at once, and sign the like, for ever.
            if (state.again == 0 && _isMajority(fallback_)) revert NoFault();
        }
        if (nodes.length == 0) revert NotAllMembers(1, 0);
        _open(fallback_, epoch, uint64(block.timestamp));
        for (uint256 i = 0; i < nodes.length; ++i) _add(fallback_, epoch, nodes[i], keys[i]);
        _form(fallback_, epoch);
    }

    /// Sets the committee of a mirror, where nobody can check in: what came of it at home.
    /// @param window how many windows there were at home
    function repeatCommittee(bytes32 word, uint64 window) external restricted {
        uint64 epoch = _requireDue();
        if (home == 0) revert NotMirror();
        _fallback.id = window;
        _setCommittee(epoch, word);
    }

    /// True iff the active checkpoint of `epoch` commits to `leaf`.
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
        bytes32 root = activeRootOf(epoch);
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
        _entryOf(epoch);
        return _roots[epoch % KEPT];
    }

    /// The same, once what it commits to may be acted on.
    function activeRootOf(uint64 epoch) public view returns (bytes32) {
        uint64 from = _entryOf(epoch).activeAt;
        if (block.timestamp < from) revert NotActive(epoch, from);
        return _roots[epoch % KEPT];
    }

    /// When the checkpoint of an epoch is acted upon, in seconds since 1970.
    function activeAt(uint64 epoch) external view returns (uint64) {
        return _entryOf(epoch).activeAt;
    }

    function genesis() external view returns (uint64) {
        return _state().genesis;
    }

    /// Events emitted so far, as `LogCount` has it: one for each accepted checkpoint, which costs a
    /// submission nothing, and `_otherLogs`.
    function logCount() external view returns (uint32) {
        State memory state = _state();
        if (state.genesis == 0 || home != 0) return 0;
        unchecked {
            return uint32(state.lastEpoch + 2) + _otherLogs;
        }
    }

    /// 2^64 - 1 before epoch 0 is accepted.
    function lastEpoch() external view returns (uint64) {
        return _state().lastEpoch;
    }

    /// sha256(SSZ{chain id, address of this contract, genesis}); of a mirror its home's.
    function networkId(uint64 genesis_) public view returns (bytes32) {
        if (home != 0) return home;
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

    /// What a node signs to check in: its domain with sha256(SSZ{epoch, window}). Windows are counted
    /// from 1.
    function checkInSigningRoot(uint64 genesis_, uint64 epoch, uint64 window)
        public
        view
        returns (bytes32)
    {
        bytes32 data =
            sha256(abi.encodePacked(Signing.littleEndian(epoch), Signing.littleEndian(window)));
        return Signing.signingRoot(Signing.CHECK_IN, networkId(genesis_), data);
    }

    function _accept(State memory state, uint64 epoch, bytes32 root, uint64 round) private {
        uint64 now_ = uint64(block.timestamp);
        uint64 from = now_ + (state.exceptional ? fallbackDelay : activationDelay);
        // Never before the one it follows.
        if (from < state.activeAt) from = state.activeAt;
        uint16 again = state.again == 0 ? 0 : state.again - 1;
        _setState(State(state.genesis, epoch, uint48(now_), uint48(from), false, again));
        _setEntry(epoch, root, Entry(epoch, now_, from, uint64(block.number), round));
    }

    /// Returns to the checkpoint before `epoch`, which `before` is.
    function _cancel(uint64 epoch, bytes calldata before) private {
        Entry memory entry = _entryOf(epoch);
        bytes32 root = _roots[epoch % KEPT];
        if (block.timestamp >= entry.activeAt) revert IsActive(epoch, entry.activeAt);
        State memory state = _state();
        uint64 last;
        unchecked {
            last = epoch - 1;
            state.again += uint16(state.lastEpoch - last);
            // Of those that are gone the events stay, and this one comes to them.
            _otherLogs += uint32(state.lastEpoch - last) + 1;
        }
        _checkCheckpoint(last, before);
        Entry memory kept = _entryOf(last);
        cancelledBelow[root] = entry.round + 1;
        emit Cancelled(epoch, root, msg.sender);
        state.lastEpoch = last;
        state.acceptedAt = uint48(kept.acceptedAt);
        state.activeAt = uint48(kept.activeAt);
        state.exceptional = false;
        _setState(state);
        committeeWord = before.nextCommittee();
    }

    function _open(Fallback storage fallback_, uint64 epoch, uint64 end) private {
        fallback_.opened = uint64(block.timestamp);
        fallback_.end = end;
        fallback_.count = 0;
        fallback_.weight = 0;
        fallback_.total = registry.totalWeight();
        fallback_.repeated = false;
        ++fallback_.id;
        ++_otherLogs;
        emit FallbackOpened(epoch, end);
    }

    function _add(Fallback storage fallback_, uint64 epoch, uint32 node, bytes32[4] calldata key)
        private
    {
        uint256 weight = _eligibleWeight(node, key);
        if (_checkedIn[fallback_.id][node]) revert AlreadyCheckedIn(node);
        _checkedIn[fallback_.id][node] = true;
        uint32 place = fallback_.count;
        bytes32[4] memory sum = key;
        if (place != 0) {
            sum = fallback_.key;
            sum.add(key);
        }
        fallback_.key = sum;
        fallback_.weight += uint128(weight);
        fallback_.count = place + 1;
        CommitteeWord.append(_branch, place, keccak256(abi.encode(key, weight)));
        ++_otherLogs;
        emit CheckedIn(epoch, node, place, weight, key);
    }

    function _form(Fallback storage fallback_, uint64 epoch) private {
        bytes32 members = CommitteeWord.rootOf(_branch, fallback_.count);
        Committee memory formed =
            Committee(fallback_.count, fallback_.weight, fallback_.key, members);
        _setCommittee(epoch, keccak256(abi.encode(formed)));
    }

    function _setCommittee(uint64 epoch, bytes32 word) private {
        committeeWord = word;
        ++_otherLogs;
        State memory state = _state();
        state.exceptional = true;
        // Another window, should this one not sign either, opens after as long a wait.
        state.acceptedAt = uint48(block.timestamp);
        _setState(state);
        emit CommitteeSet(epoch, word);
    }

    function _checkWindow(uint64 round) private view {
        uint64 expected = _fallback.id % WINDOWS;
        if (round / ROUNDS != expected) revert OtherWindow(expected, round / ROUNDS);
    }

    /// The epoch without a checkpoint, when nodes may check in for it.
    function _requireDue() private view returns (uint64 epoch) {
        State memory state = _state();
        if (state.genesis == 0) revert NotStarted();
        uint256 due = uint256(state.acceptedAt) + fallbackAfter;
        if (block.timestamp < due) revert NotDue(due);
        unchecked {
            epoch = state.lastEpoch + 1;
        }
    }

    /// Of an earlier wait, or ended without a majority.
    function _isOver(Fallback storage fallback_) private view returns (bool) {
        return fallback_.opened <= _state().acceptedAt || block.timestamp > fallback_.end;
    }

    function _isMajority(Fallback storage fallback_) private view returns (bool) {
        return 2 * uint256(fallback_.weight) > fallback_.total;
    }

    function _eligibleWeight(uint32 node, bytes32[4] calldata key)
        private
        view
        returns (uint256 weight)
    {
        (address operator, uint64 exitAt,,, uint96 bond,,,,,,) = registry.nodes(node);
        if (operator == address(0) || exitAt != 0) revert NotEligible(node);
        if (registry.indexOfVoting(_hash(key)) != node + 1) revert NotEligible(node);
        uint256 then = registry.bondAt(node, _entryOf(_state().lastEpoch).blockNumber);
        weight = registry.weightOf(then < bond ? then : bond);
        if (weight == 0) revert NotEligible(node);
    }

    /// Whether a key may have had this weight at some block of a span.
    function _couldBe(bytes32 key, uint256 weight, uint64 from, uint64 to)
        private
        view
        returns (bool)
    {
        uint32 mark = registry.indexOfVoting(key);
        if (mark == 0) return false;
        uint32 node = mark - 1;
        (,, uint32 registeredIn,,,,,,,, uint96 peak) = registry.nodes(node);
        if (registeredIn > to) return false;
        if (from == to) return registry.weightOf(registry.bondAt(node, from)) == weight;
        if (registeredIn <= from && registry.bondAt(node, from) == 0) return false;
        return weight <= registry.weightOf(peak);
    }

    /// The checkpoint of `epoch` names this committee for the next.
    function _checkNamed(
        uint64 epoch,
        bytes calldata checkpoint,
        Committee calldata committee
    ) private view {
        _checkCheckpoint(epoch, checkpoint);
        bytes32 named = checkpoint.nextCommittee();
        if (committee.word() != named) revert WrongCommittee(named, committee.word());
    }

    function _checkCheckpoint(uint64 epoch, bytes calldata checkpoint) private view {
        bytes32 expected = rootOf(epoch);
        bytes32 found = checkpoint.checkedRoot();
        if (found != expected) revert WrongCheckpoint(expected, found);
    }

    function _entryOf(uint64 epoch) private view returns (Entry memory entry) {
        State memory state = _state();
        // Counted from the genesis checkpoint, whose epoch wraps to 0.
        bool known;
        unchecked {
            known = state.genesis != 0 && uint64(epoch + 1) <= uint64(state.lastEpoch + 1);
        }
        uint256 packed = _packedEntries[epoch % KEPT];
        entry = Entry(
            uint64(packed),
            uint48(packed >> 64),
            uint48(packed >> 112),
            uint48(packed >> 160),
            uint48(packed >> 208)
        );
        if (!known || entry.epoch != epoch) revert EpochNotKept(epoch);
    }

    function _setEntry(uint64 epoch, bytes32 root, Entry memory entry) private {
        _roots[epoch % KEPT] = root;
        _packedEntries[epoch % KEPT] = uint256(entry.epoch) | uint256(entry.acceptedAt) << 64
            | uint256(entry.activeAt) << 112 | uint256(entry.blockNumber) << 160
            | uint256(entry.round) << 208;
    }

    function _state() private view returns (State memory) {
        uint256 packed = _packedState;
        return State(
            uint64(packed),
            uint64(packed >> 64),
            uint48(packed >> 128),
            uint48(packed >> 176),
            (packed >> 224) & 1 == 1,
            uint16(packed >> 225)
        );
    }

    function _setState(State memory state) private {
        _packedState = uint256(state.genesis) | uint256(state.lastEpoch) << 64
            | uint256(state.acceptedAt) << 128 | uint256(state.activeAt) << 176
            | (state.exceptional ? 1 << 224 : 0) | uint256(state.again) << 225;
    }

    /// Epoch of a checkpoint that continues the last accepted one.
    function _follow(bytes calldata checkpoint, uint64 last) private view returns (uint64 epoch) {
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

    function _hash(bytes32[4] calldata key) private pure returns (bytes32) {
        return keccak256(abi.encode(key));
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
