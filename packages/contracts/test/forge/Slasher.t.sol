// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {NodeRegistry} from "../../solidity/NodeRegistry.sol";
import {Bls12381} from "../../solidity/Bls12381.sol";
import {Checkpoints} from "../../solidity/Checkpoints.sol";
import {SignedVote, Slasher} from "../../solidity/Slasher.sol";
import {BlsSigner} from "./BlsSigner.sol";
import {Network} from "./Network.sol";

contract SlasherTest is Network {
    address private constant REPORTER = address(0x4e);
    uint32 private constant NODES = 12;

    function setUp() public {
        deployAll();
        token.approve(address(registry), type(uint256).max);
        for (uint32 i = 0; i < NODES; ++i) registerNode(i, 2000 ether);
    }

    function testFuzz_takesAPartOfTheBondForTwoVotesInOneRound(
        uint64 epoch,
        uint64 round,
        bytes32 one,
        bytes32 other
    ) public {
        vm.assume(one != other);
        vm.assume(epoch != type(uint64).max);
        uint256 supply = token.totalSupply();
        uint256 taken = prove(3, epoch, round, votesOf(3, epoch, round, one, other));
        assertEqual("taken", 200 ether, taken);
        assertEqual("bond", 1800 ether, bondOf(3));
        assertEqual("share", 50 ether, token.balanceOf(REPORTER));
        assertEqual("burned", supply - 150 ether, token.totalSupply());
        assertEqual("total", 2000 ether * uint256(NODES) - 200 ether, registry.totalBond());
    }

    function testFuzz_refusesWhatIsNoContradiction(uint8 what, bytes32 one, bytes32 other) public {
        vm.assume(one != other);
        SignedVote[2] memory votes = votesOf(3, 5, 1, one, other);
        bytes32[4] memory key = BlsSigner.publicKey(secretOf(3));
        bytes memory reason;
        what %= 5;
        uint64 epoch = 5;
        uint64 round = 1;
        uint32 node = 3;
        if (what == 0) {
            votes[1] = votes[0];
            reason = abi.encodeWithSelector(Slasher.SameVote.selector);
        } else if (what == 1) {
            // Of another round.
            votes[1] = votesOf(3, 5, 2, one, other)[1];
            reason = abi.encodeWithSelector(Slasher.BadSignature.selector, 1);
        } else if (what == 2) {
            // Of another epoch.
            epoch = 6;
            reason = abi.encodeWithSelector(Slasher.BadSignature.selector, 0);
        } else if (what == 3) {
            // Of another node.
            votes = votesOf(4, 5, 1, one, other);
            reason = abi.encodeWithSelector(Slasher.BadSignature.selector, 0);
        } else {
            node = 4;
            reason = abi.encodeWithSelector(Slasher.OtherKey.selector, 4);
        }
        vm.expectRevert(reason);
        slasher.doubleVote(node, key, epoch, round, votes);
    }

    function testFuzz_refusesVotesForAnotherNetwork(bytes32 one, bytes32 other, uint64 id) public {
        vm.assume(one != other);
        vm.assume(id != block.chainid && id != 0);
        SignedVote[2] memory votes = votesOf(3, 5, 1, one, other);
        bytes32[4] memory key = BlsSigner.publicKey(secretOf(3));
        vm.chainId(id);
        vm.expectRevert(abi.encodeWithSelector(Slasher.BadSignature.selector, 0));
        slasher.doubleVote(3, key, 5, 1, votes);
    }

    function test_refusesPointsThatAreNone() public {
        SignedVote[2] memory votes = votesOf(3, 5, 1, bytes32(uint256(1)), bytes32(uint256(2)));
        bytes32[4] memory key = BlsSigner.publicKey(secretOf(3));
        votes[1].signature[7] = bytes32(uint256(votes[1].signature[7]) ^ 1);
        vm.expectRevert(Bls12381.InvalidPoint.selector);
        slasher.doubleVote(3, key, 5, 1, votes);
        // Infinity is a point, and no signature.
        bytes32[8] memory infinity;
        votes[1].signature = infinity;
        vm.expectRevert(abi.encodeWithSelector(Slasher.BadSignature.selector, 1));
        slasher.doubleVote(3, key, 5, 1, votes);
    }

    function test_punishesOnceForAnEpochInWhateverOrderAndRound() public {
        SignedVote[2] memory votes = votesOf(3, 5, 1, bytes32(uint256(1)), bytes32(uint256(2)));
        prove(3, 5, 1, votes);
        bytes32[4] memory key = BlsSigner.publicKey(secretOf(3));
        (votes[0], votes[1]) = (votes[1], votes[0]);
        vm.expectRevert(abi.encodeWithSelector(Slasher.AlreadyPunished.selector, 6, 3));
        slasher.doubleVote(3, key, 5, 1, votes);
        SignedVote[2] memory others = votesOf(3, 5, 2, bytes32(uint256(1)), bytes32(uint256(2)));
        vm.expectRevert(abi.encodeWithSelector(Slasher.AlreadyPunished.selector, 6, 3));
        slasher.doubleVote(3, key, 5, 2, others);
        prove(3, 6, 1, votesOf(3, 6, 1, bytes32(uint256(1)), bytes32(uint256(2))));
        assertEqual("again in another epoch", 1620 ether, bondOf(3));
    }

    function test_takesNoMoreThanTheCapForAnEpoch() public {
        // 24,000 tokens are bonded: 480 may go, each has 200 to lose.
        uint256[3] memory expected = [uint256(200 ether), 200 ether, 80 ether];
        for (uint32 i = 0; i < 3; ++i) {
            uint256 taken =
                prove(i, 5, 1, votesOf(i, 5, 1, bytes32(uint256(1)), bytes32(uint256(2))));
            assertEqual("taken", expected[i], taken);
        }
        SignedVote[2] memory votes = votesOf(3, 5, 1, bytes32(uint256(1)), bytes32(uint256(2)));
        bytes32[4] memory key = BlsSigner.publicKey(secretOf(3));
        vm.expectRevert(abi.encodeWithSelector(Slasher.CapReached.selector, 6, 480 ether));
        slasher.doubleVote(3, key, 5, 1, votes);
    }

    function test_reachesABondUntilItIsWithdrawn() public {
        registry.requestExit(3);
        uint256 weight = registry.totalWeight();
        prove(3, 5, 1, votesOf(3, 5, 1, bytes32(uint256(1)), bytes32(uint256(2))));
        assertEqual("weight of the others", weight, registry.totalWeight());
        vm.warp(block.timestamp + 72);
        uint256 before = token.balanceOf(address(this));
        registry.withdraw(3);
        assertEqual("returned", 1800 ether, token.balanceOf(address(this)) - before);
        SignedVote[2] memory votes = votesOf(3, 6, 1, bytes32(uint256(1)), bytes32(uint256(2)));
        bytes32[4] memory key = BlsSigner.publicKey(secretOf(3));
        vm.expectRevert(abi.encodeWithSelector(Slasher.NothingToTake.selector, 3));
        slasher.doubleVote(3, key, 6, 1, votes);
    }

    function testFuzz_nobodyElseTakesFromABond(address sender, uint96 amount) public {
        vm.assume(sender != address(slasher));
        vm.prank(sender);
        vm.expectRevert(abi.encodeWithSelector(NodeRegistry.NotSlasher.selector, sender));
        registry.slash(3, amount, sender, 0);
    }

    function prove(uint32 node, uint64 epoch, uint64 round, SignedVote[2] memory votes)
        private
        returns (uint256)
    {
        bytes32[4] memory key = BlsSigner.publicKey(secretOf(node));
        vm.prank(REPORTER);
        return slasher.doubleVote(node, key, epoch, round, votes);
    }

    function votesOf(uint32 node, uint64 epoch, uint64 round, bytes32 one, bytes32 other)
        private
        view
        returns (SignedVote[2] memory votes)
    {
        Checkpoints chain = checkpoints;
        bytes32[2] memory roots = [one, other];
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 message = chain.voteSigningRoot(chain.genesis(), epoch, round, roots[i]);
            votes[i] = SignedVote(roots[i], BlsSigner.sign(secretOf(node), message));
        }
    }

    function bondOf(uint32 node) private view returns (uint96 bond) {
        (,,,, bond,,,,,,) = registry.nodes(node);
    }
}
