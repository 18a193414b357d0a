// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Checkpoints} from "../../solidity/Checkpoints.sol";
import {SignedVote} from "../../solidity/Slasher.sol";
import {Payout} from "../../solidity/PayoutTree.sol";
import {BlsSigner} from "./BlsSigner.sol";
import {Draft, Network} from "./Network.sol";
import {PayoutList} from "./PayoutList.sol";

/// @title A committee that signs, hands over, is cancelled and contradicts itself at random
contract Signers is Network {
    using PayoutList for Payout[];

    uint64 private constant DELAY = 50;
    uint32 public constant NODES = 4;
    uint256 public constant BOND = 2000 ether;
    uint64 public constant PUNISHED_EPOCHS = 3;
    address public constant REPORTER = address(0x4e);

    uint256 public immutable supply;
    /// A container that was accepted before was accepted again at its place or another.
    bool public repeated;

    /// Of the genesis checkpoint, then of each epoch, as they stand now.
    bytes[] private _containers;
    uint256[] private _weights;
    /// Roots that were active once, by epoch.
    bytes32[] private _settled;

    constructor() {
        settings.activationDelay = DELAY;
        deployAll();
        token.approve(address(registry), type(uint256).max);
        for (uint32 i = 0; i < NODES; ++i) registerNode(i, uint96(BOND));
        supply = token.totalSupply();
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = Checkpoints.cancel.selector;
        access.setTargetFunctionRole(address(checkpoints), selectors, 1);
        access.grantRole(1, address(this), 0);
        Draft memory draft;
        draft.epoch = type(uint64).max;
        draft.nextCommittee = word();
        draft.payouts = new Payout[](0).root();
        _containers.push(encode(draft));
        _weights.push(committee.weight);
    }

    /// The next checkpoint, which hands over to a committee of another weight.
    function sign(bytes32 salt, uint64 round, uint16 weight) external {
        Draft memory draft;
        draft.epoch = nextEpoch();
        unchecked {
            draft.parent = checkpoints.rootOf(draft.epoch - 1);
        }
        draft.penalties = salt;
        uint256 present = committee.weight;
        weigh(uint256(weight) + 1);
        draft.nextCommittee = word();
        weigh(present);
        bytes memory container = encode(draft);
        submit(container, draft.epoch, round % 8);
        _containers.push(container);
        _weights.push(uint256(weight) + 1);
        weigh(uint256(weight) + 1);
    }

    /// One that was accepted once already.
    function repeat(uint256 which, uint64 round) external {
        uint256 place = which % _containers.length;
        uint64 epoch;
        unchecked {
            epoch = uint64(place) - 1;
        }
        submit(_containers[place], epoch, round);
        repeated = true;
    }

    function cancel(uint8 back) external {
        uint256 place = _containers.length - 1 - back % _containers.length;
        checkpoints.cancel(uint64(place - 1), _containers[place - 1]);
        while (_containers.length > place) {
            _containers.pop();
            _weights.pop();
        }
        weigh(_weights[place - 1]);
    }

    /// Two votes of a node in one round, for few epochs, so that caps are reached.
    function contradict(uint32 node, uint64 epoch, uint64 round, bytes32 one, bytes32 other)
        external
    {
        node %= NODES;
        epoch %= PUNISHED_EPOCHS;
        SignedVote[2] memory votes;
        uint64 genesis = checkpoints.genesis();
        bytes32[2] memory roots = [one, other];
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 message = checkpoints.voteSigningRoot(genesis, epoch, round, roots[i]);
            votes[i] = SignedVote(roots[i], BlsSigner.sign(secretOf(node), message));
        }
        bytes32[4] memory key = BlsSigner.publicKey(secretOf(node));
        vm.prank(REPORTER);
        slasher.doubleVote(node, key, epoch, round, votes);
    }

    function later(uint8 time) external {
        vm.warp(block.timestamp + time);
        vm.roll(block.number + 1);
        for (uint64 epoch = uint64(_settled.length); epoch + 1 < _containers.length; ++epoch) {
            if (checkpoints.activeAt(epoch) > block.timestamp) return;
            _settled.push(checkpoints.rootOf(epoch));
        }
    }

    /// Epochs that have a checkpoint.
    function epochs() external view returns (uint256) {
        return _containers.length - 1;
    }

    function rootAt(uint64 epoch) external view returns (bytes32) {
        return this.rootOfContainer(_containers[epoch + 1]);
    }

    function committeeNow() external view returns (bytes32) {
        return word();
    }

    function settled() external view returns (bytes32[] memory) {
        return _settled;
    }

    function weigh(uint256 weight) private {
        committee.weight = weight;
        committee.members = keccak256(abi.encode(committee.key, weight));
    }
}

contract SignersTest is Network {
    Signers private signers;
    Checkpoints private chain;

    function setUp() public {
        signers = new Signers();
        chain = signers.checkpoints();
        target(address(signers));
    }

    function invariant_everyEpochHasOneRootAndNoneIsLeftOut() public view {
        uint256 count = signers.epochs();
        uint64 next;
        unchecked {
            next = chain.lastEpoch() + 1;
        }
        assertEqual("next", count, next);
        for (uint64 epoch = 0; epoch < count; ++epoch) {
            assertEqual("root", uint256(signers.rootAt(epoch)), uint256(chain.rootOf(epoch)));
        }
        assertTrue("accepted once", !signers.repeated());
    }

    function invariant_theCommitteeIsTheOneThatTheLastCheckpointNames() public view {
        assertEqual("word", uint256(signers.committeeNow()), uint256(chain.committeeWord()));
    }

    function invariant_noneIsActiveBeforeTheOneItFollowsAndWhatIsActiveStays() public view {
        uint64 before;
        for (uint64 epoch = 0; epoch < signers.epochs(); ++epoch) {
            uint64 from = chain.activeAt(epoch);
            assertTrue("in order", from >= before);
            before = from;
        }
        bytes32[] memory settled = signers.settled();
        for (uint64 epoch = 0; epoch < settled.length; ++epoch) {
            assertEqual("stays", uint256(settled[epoch]), uint256(chain.rootOf(epoch)));
        }
    }

    function invariant_noEpochCostsMoreThanItsCapAndNoUnitIsLost() public view {
        uint256 sum;
        for (uint64 epoch = 0; epoch <= signers.PUNISHED_EPOCHS(); ++epoch) {
            uint256 taken = signers.slasher().taken(epoch);
            assertTrue("cap", taken <= signers.slasher().capOf(epoch));
            sum += taken;
        }
        uint256 bonds;
        for (uint32 node = 0; node < signers.NODES(); ++node) {
            (,,,, uint96 bond,,,,,,) = signers.registry().nodes(node);
            assertTrue("bond", bond <= signers.BOND());
            bonds += bond;
        }
        assertEqual("bonds", signers.NODES() * signers.BOND() - sum, bonds);
        assertEqual("total", bonds, signers.registry().totalBond());
        uint256 burned = signers.supply() - signers.token().totalSupply();
        assertEqual("taken", sum, burned + signers.token().balanceOf(signers.REPORTER()));
    }
}
