// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Checkpoints} from "../../solidity/Checkpoints.sol";
import {Absent, Committee, CommitteeWord, Member} from "../../solidity/CommitteeWord.sol";
import {NodeRegistry} from "../../solidity/NodeRegistry.sol";
import {BlsSigner} from "./BlsSigner.sol";
import {Draft, Network} from "./Network.sol";

contract CheckpointsTest is Network {
    uint64 private constant DELAY = 100;
    uint32 private constant NODES = 4;

    /// Of the fallback, as these tests have opened them.
    uint64 private _windows;
    uint64 private _windowEnd;

    function setUp() public {
        settings.activationDelay = DELAY;
        vm.roll(10);
        deployAll();
        token.approve(address(registry), type(uint256).max);
        for (uint32 i = 0; i < NODES; ++i) registerNode(i, 1000 ether + i * 1 ether);
        vm.roll(20);
        vm.warp(block.timestamp + 10);
    }

    function test_isActedUponAfterTheDelayOnly() public {
        land(draftOf(0));
        uint64 due = uint64(block.timestamp) + DELAY;
        assertEqual("accepted", 1, checkpoints.rootOf(0) == 0 ? 0 : 1);
        vm.warp(due - 1);
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.NotActive.selector, 0, due));
        checkpoints.activeRootOf(0);
        vm.warp(due);
        assertEqual("same", uint256(checkpoints.rootOf(0)), uint256(checkpoints.activeRootOf(0)));
    }

    function test_keepsAsManyRootsAsTheRingHasPlaces() public {
        bytes32[260] memory roots;
        for (uint256 i = 0; i < 258; ++i) {
            land(draftOf(0));
            roots[i] = checkpoints.rootOf(uint64(i));
            if (i == 254) checkpoints.rootOf(GENESIS_EPOCH);
        }
        for (uint256 i = 2; i < 258; ++i) {
            assertEqual("kept", uint256(roots[i]), uint256(checkpoints.rootOf(uint64(i))));
        }
        uint64[4] memory gone = [GENESIS_EPOCH, 0, 1, 258];
        for (uint256 i = 0; i < gone.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Checkpoints.EpochNotKept.selector, gone[i]));
            checkpoints.rootOf(gone[i]);
        }
    }

    function test_vetoOfAMemberThatIsNotRegistered() public {
        (Committee memory bad, Absent memory members) = committeeOf(NODES, 1);
        (bytes memory zero, bytes memory one) = landNaming(bad);
        // Epoch 2 is in the term that begins with epoch 0.
        checkpoints.veto(1, zero, one, termOf(0), bad, only(members, NODES));
        assertCancelled(1);
    }

    function testFuzz_vetoOfAWeightThatIsNotTheBonds(uint64 weight, uint8 which) public {
        uint256 at_ = which % NODES;
        vm.assume(weight != 1000 + at_);
        uint256[] memory weights = rightWeights(NODES);
        weights[at_] = weight;
        (Committee memory bad, Absent memory members) = committeeWith(weights);
        (bytes memory zero, bytes memory one) = landNaming(bad);
        checkpoints.veto(1, zero, one, termOf(0), bad, only(members, at_));
        assertCancelled(1);
    }

    function testFuzz_noVetoOfWhoIsRegistered(uint8 which) public {
        (Committee memory good, Absent memory members) = committeeOf(NODES, 0);
        (bytes memory zero, bytes memory one) = landNaming(good);
        Absent memory one_ = only(members, which % NODES);
        vm.expectRevert(Checkpoints.NoFault.selector);
        checkpoints.veto(1, zero, one, zero, good, one_);
        vm.expectRevert(Checkpoints.NoFault.selector);
        checkpoints.vetoSum(1, zero, one, good, members);
    }

    function test_vetoComparesTheBondAtTheBaseOfTheTerm() public {
        (Committee memory good, Absent memory members) = committeeOf(NODES, 0);
        // The base of epoch 0 is block 15.
        bytes memory zero = land(draftOf(15));
        vm.roll(30);
        registry.addBond(2, 50 ether);
        vm.roll(40);
        Draft memory draft = draftOf(35);
        draft.nextCommittee = keccak256(abi.encode(good));
        bytes memory one = land(draft);
        Absent memory third = only(members, 2);
        vm.expectRevert(Checkpoints.NoFault.selector);
        checkpoints.veto(1, zero, one, zero, good, third);
        uint256[] memory weights = rightWeights(NODES);
        weights[2] += 50;
        (Committee memory late, Absent memory lateMembers) = committeeWith(weights);
        draft = draftOf(35);
        draft.nextCommittee = keccak256(abi.encode(late));
        bytes memory two = land3(good, draft, 0);
        checkpoints.veto(2, one, two, zero, late, only(lateMembers, 2));
        assertEqual("last", 1, checkpoints.lastEpoch());
    }

    /// The base of the next term has no checkpoint yet: its block lies somewhere in a span.
    function test_vetoAtTheEndOfATermAllowsWhatMayHaveBeen() public {
        for (uint256 i = 0; i < 3; ++i) land(draftOf(15));
        bytes32 before = checkpoints.rootOf(2);
        vm.roll(30);
        registry.addBond(2, 50 ether);
        vm.roll(40);
        uint256[] memory weights = rightWeights(NODES);
        for (uint256 i = 0; i < 2; ++i) {
            // Before and after the change.
            weights[2] = 1002 + 50 * i;
            refusedAtTermEnd(weights, 2);
        }
        weights[2] = 1053;
        (Committee memory bad, Absent memory members) = committeeWith(weights);
        (bytes memory second, bytes memory third) = landThird(bad);
        checkpoints.veto(3, second, third, "", bad, only(members, 2));
        assertEqual("returned", uint256(before), uint256(checkpoints.rootOf(2)));
    }

    function test_vetoAtTheEndOfATermOfAKeyRegisteredAfter() public {
        for (uint256 i = 0; i < 3; ++i) land(draftOf(15));
        uint256[] memory weights = rightWeights(NODES + 1);
        (Committee memory bad, Absent memory members) = committeeWith(weights);
        (bytes memory second, bytes memory third) = landThird(bad);
        vm.roll(block.number + 1);
        registerNode(NODES, 5000 ether);
        checkpoints.veto(3, second, third, "", bad, only(members, NODES));
        assertCancelled(3);
    }

    function test_vetoAtTheEndOfATermOfANodeThatHadLeft() public {
        registry.requestExit(1);
        vm.warp(block.timestamp + 72);
        registry.withdraw(1);
        for (uint256 i = 0; i < 3; ++i) land(draftOf(15));
        vm.roll(30);
        (Committee memory bad, Absent memory members) = committeeOf(NODES, 0);
        // Seen from block 15 it may still have been there; from block 25 it had left.
        (bytes memory second, bytes memory third) = landThird(bad, 15);
        Absent memory left = only(members, 1);
        vm.expectRevert(Checkpoints.NoFault.selector);
        checkpoints.veto(3, second, third, "", bad, left);
        guard();
        checkpoints.cancel(3, second);
        (second, third) = landThird(bad, 25);
        checkpoints.veto(3, second, third, "", bad, left);
        assertCancelled(3);
    }

    function testFuzz_vetoOfASumThatIsNotTheMembers(uint8 what, uint64 change) public {
        vm.assume(change != 0);
        (Committee memory bad, Absent memory members) = committeeOf(NODES, 0);
        if (what % 2 == 0) bad.weight += change;
        else bad.key = BlsSigner.publicKey(change);
        (bytes memory zero, bytes memory one) = landNaming(bad);
        checkpoints.vetoSum(1, zero, one, bad, members);
        assertCancelled(1);
    }

    function test_vetoOfACommitteeOfNobody() public {
        Committee memory bad;
        bad.weight = 1;
        bad.key = BlsSigner.publicKey(77);
        (bytes memory zero, bytes memory one) = landNaming(bad);
        Absent memory nobody;
        checkpoints.vetoSum(1, zero, one, bad, nobody);
        assertCancelled(1);
    }

    function test_vetoOfASumNeedsAllMembers() public {
        (Committee memory bad, Absent memory members) = committeeOf(NODES, 0);
        bad.weight += 1;
        (bytes memory zero, bytes memory one) = landNaming(bad);
        Absent memory some = only(members, 0);
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.NotAllMembers.selector, NODES, 1));
        checkpoints.vetoSum(1, zero, one, bad, some);
    }

    function test_vetoRefusesAMemberThatTheCommitteeDoesNotHave() public {
        (Committee memory bad, Absent memory members) = committeeOf(NODES, 1);
        (bytes memory zero, bytes memory one) = landNaming(bad);
        Absent memory wrong = only(members, NODES);
        wrong.members[0].weight += 1;
        vm.expectRevert(CommitteeWord.AbsentProof.selector);
        checkpoints.veto(1, zero, one, zero, bad, wrong);
        wrong = only(members, NODES);
        Committee memory other = bad;
        other.weight += 1;
        vm.expectRevert();
        checkpoints.veto(1, zero, one, zero, other, wrong);
    }

    function test_cancellingTakesAllThatFollow() public {
        bytes memory zero = land(draftOf(15));
        land(draftOf(15));
        land(draftOf(15));
        bytes32 gone = checkpoints.rootOf(2);
        guard();
        checkpoints.cancel(1, zero);
        assertCancelled(1);
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.EpochNotKept.selector, 2));
        checkpoints.rootOf(2);
        assertEqual("a root that has gone with it", 0, checkpoints.cancelledBelow(gone));
    }

    function test_aCancelledRootComesBackByLaterVotesOnlyAndAnotherMay() public {
        bytes memory zero = land(draftOf(15));
        bytes memory one = encode(follower(draftOf(15)));
        submit(one, 1, 7);
        guard();
        checkpoints.cancel(1, zero);
        bytes32 root = this.rootOfContainer(one);
        refusedRound(one, 7, root);
        refusedRound(one, 0, root);
        land(draftOf(16));
        assertEqual("last", 1, checkpoints.lastEpoch());
        // Nor later, when the flag that a root of this epoch was cancelled is gone.
        checkpoints.cancel(1, zero);
        refusedRound(one, 7, root);
        submit(one, 1, 8);
        assertEqual("voted again", uint256(root), uint256(checkpoints.rootOf(1)));
        checkpoints.cancel(1, zero);
        refusedRound(one, 8, root);
        submit(one, 1, 9);
    }

    function test_aCancelledRootStaysOutWhenItsParentIsCancelledTooAndLandsAgain() public {
        Draft memory genesis;
        genesis.epoch = GENESIS_EPOCH;
        genesis.nextCommittee = word();
        genesis.payouts = sha256(abi.encodePacked(emptyRoot(), bytes32(0)));
        bytes memory zero = land(draftOf(15));
        bytes memory one = encode(follower(draftOf(15)));
        submit(one, 1, 0);
        guard();
        checkpoints.cancel(1, zero);
        checkpoints.cancel(0, encode(genesis));
        submit(zero, 0, 1);
        refusedRound(one, 0, this.rootOfContainer(one));
        // Also when what landed again is cancelled once more.
        checkpoints.cancel(0, encode(genesis));
        submit(zero, 0, 2);
        refusedRound(one, 0, this.rootOfContainer(one));
        submit(one, 1, 1);
        assertEqual("last", 1, checkpoints.lastEpoch());
    }

    function test_vetoComparesTheBondOfNowWhereTheBaseIsNoBlock() public {
        vm.roll(30);
        registry.addBond(2, 50 ether);
        bytes memory zero = land(draftOf(type(uint64).max));
        (Committee memory bad, Absent memory members) = committeeOf(NODES, 0);
        Draft memory draft = draftOf(15);
        draft.nextCommittee = keccak256(abi.encode(bad));
        bytes memory one = land(draft);
        checkpoints.veto(1, zero, one, zero, bad, only(members, 2));
        assertCancelled(1);
    }

    function testFuzz_aRoundTooHighToBeKeptIsRefused(uint64 round) public {
        bytes memory zero = encode(follower(draftOf(15)));
        if (round >> 48 == 0) {
            submit(zero, 0, round);
            assertEqual("delay", block.timestamp + DELAY, checkpoints.activeAt(0));
            return;
        }
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.RoundTooHigh.selector, round));
        this.submitExternally(zero, 0, round);
    }

    function test_whatIsActiveStays() public {
        bytes memory zero = land(draftOf(15));
        land(draftOf(15));
        vm.warp(block.timestamp + DELAY);
        guard();
        vm.expectRevert(
            abi.encodeWithSelector(Checkpoints.IsActive.selector, 1, uint64(block.timestamp))
        );
        checkpoints.cancel(1, zero);
    }

    function testFuzz_onlyTheGuardianCancelsAtWill(address sender) public {
        bytes memory zero = land(draftOf(15));
        land(draftOf(15));
        vm.assume(sender != address(this));
        vm.prank(sender);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, sender)
        );
        checkpoints.cancel(1, zero);
    }

    function test_theFirstEpochReturnsToGenesis() public {
        Draft memory genesis;
        genesis.epoch = GENESIS_EPOCH;
        genesis.nextCommittee = word();
        genesis.payouts = sha256(abi.encodePacked(emptyRoot(), bytes32(0)));
        land(draftOf(15));
        guard();
        checkpoints.cancel(0, encode(genesis));
        assertEqual("last", GENESIS_EPOCH, checkpoints.lastEpoch());
        land(draftOf(16));
    }

    // Fallback.

    function test_nobodyChecksInBeforeItIsDue() public {
        land(draftOf(15));
        uint256 due = block.timestamp + settings.fallbackAfter;
        vm.warp(due - 1);
        refusedCheckIn(0, 0, abi.encodeWithSelector(Checkpoints.NotDue.selector, due));
        vm.warp(due);
        checkInNode(0);
    }

    function testFuzz_whoChecksInSignsWhenItIsMoreThanHalf(uint8 count) public {
        count = uint8(bounded(count, 1, NODES));
        waitForFallback();
        for (uint32 i = 0; i < count; ++i) checkInNode(i);
        vm.expectRevert(
            abi.encodeWithSelector(
                Checkpoints.WindowOpen.selector, uint64(block.timestamp) + settings.fallbackWindow
            )
        );
        checkpoints.formCommittee();
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        uint256 weight = uint256(count) * 1000 + uint256(count) * (count - 1) / 2;
        if (2 * weight <= 4006) {
            vm.expectRevert(
                abi.encodeWithSelector(Checkpoints.NoMajority.selector, weight, 4006)
            );
            checkpoints.formCommittee();
            return;
        }
        checkpoints.formCommittee();
        (Committee memory formed,) = committeeOf(count, 0);
        assertEqual(
            "word", uint256(keccak256(abi.encode(formed))), uint256(checkpoints.committeeWord())
        );
        // It signs, and what it signs waits longer.
        Draft memory draft = draftOf(15);
        draft.nextCommittee = word();
        land3(formed, draft, checkpoints.ROUNDS());
        assertEqual(
            "later", block.timestamp + settings.fallbackDelay, checkpoints.activeAt(0)
        );
        land(draftOf(15));
        assertEqual("not before it", checkpoints.activeAt(0), checkpoints.activeAt(1));
    }

    function test_formsNoCommitteeOfJustHalfTheWeight() public {
        waitForFallback();
        checkInNode(1);
        checkInNode(2);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.NoMajority.selector, 2003, 4006));
        checkpoints.formCommittee();
    }

    function test_checksInOnceWithItsOwnKeyAndAnOldBond() public {
        vm.roll(50);
        registerNode(NODES, 5000 ether);
        waitForFallback();
        checkInNode(0);
        refusedCheckIn(0, 0, abi.encodeWithSelector(Checkpoints.AlreadyCheckedIn.selector, 0));
        refusedCheckIn(1, 0, abi.encodeWithSelector(Checkpoints.NotEligible.selector, 1));
        refusedCheckIn(
            NODES, NODES, abi.encodeWithSelector(Checkpoints.NotEligible.selector, NODES)
        );
        registry.requestExit(3);
        refusedCheckIn(3, 3, abi.encodeWithSelector(Checkpoints.NotEligible.selector, 3));
        refusedCheckIn(77, 2, abi.encodeWithSelector(Checkpoints.NotEligible.selector, 77));
    }

    /// Whoever sends it: what counts is the signature, for this epoch and this window.
    function testFuzz_checksInByItsSignature(address sender, uint64 epoch, uint64 window_) public {
        waitForFallback();
        checkInNode(0);
        bytes32[4] memory key = BlsSigner.publicKey(secretOf(2));
        if (epoch != 0 || window_ != 1) {
            bytes32[8] memory other = checkInSignature(2, epoch, window_);
            vm.expectRevert(Checkpoints.BadSignature.selector);
            checkpoints.checkIn(2, key, other);
        }
        bytes32[8] memory anothers = checkInSignature(1, 0, 1);
        vm.expectRevert(Checkpoints.BadSignature.selector);
        checkpoints.checkIn(2, key, anothers);
        bytes32[8] memory infinity;
        vm.expectRevert(Checkpoints.Infinity.selector);
        checkpoints.checkIn(2, key, infinity);
        bytes32[8] memory right = checkInSignature(2, 0, 1);
        vm.prank(sender);
        checkpoints.checkIn(2, key, right);
    }

    function test_aMajorityIsNotSentAwayByAnotherWindow() public {
        waitForFallback();
        for (uint32 i = 0; i < 3; ++i) checkInNode(i);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        refusedCheckIn(3, 3, abi.encodeWithSelector(Checkpoints.CommitteeWaits.selector));
        checkpoints.formCommittee();
    }

    function test_whoChecksInAndAsksToLeaveMakesNoMajorityOfFewer() public {
        waitForFallback();
        for (uint32 i = 0; i < 2; ++i) checkInNode(i);
        uint32[] memory both = new uint32[](2);
        both[1] = 1;
        registry.requestExits(both);
        assertEqual("those who stay", 2005, registry.totalWeight());
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.NoMajority.selector, 2001, 4006));
        checkpoints.formCommittee();
        for (uint32 i = 2; i < NODES; ++i) checkInNode(i);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        checkpoints.formCommittee();
    }

    function test_tooFewOpenAnotherWindow() public {
        waitForFallback();
        checkInNode(0);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        for (uint32 i = 0; i < NODES; ++i) checkInNode(i);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        checkpoints.formCommittee();
        (Committee memory formed,) = committeeOf(NODES, 0);
        assertEqual(
            "word", uint256(keccak256(abi.encode(formed))), uint256(checkpoints.committeeWord())
        );
    }

    function test_aCheckpointEndsTheWindow() public {
        waitForFallback();
        for (uint32 i = 0; i < NODES; ++i) checkInNode(i);
        land(draftOf(15));
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                Checkpoints.NotDue.selector,
                block.timestamp - settings.fallbackWindow - 1 + settings.fallbackAfter
            )
        );
        checkpoints.formCommittee();
        vm.warp(block.timestamp + settings.fallbackAfter);
        vm.expectRevert(Checkpoints.NoWindow.selector);
        checkpoints.formCommittee();
    }

    /// What its members had voted for the committee of before, or vote for another window's, is void.
    function testFuzz_aCommitteeThatFormedSignsInRoundsOfItsWindow(uint32 round) public {
        waitForFallback();
        checkInNode(0);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        for (uint32 i = 0; i < 3; ++i) checkInNode(i);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        checkpoints.formCommittee();
        (Committee memory formed,) = committeeOf(3, 0);
        Draft memory draft = draftOf(15);
        draft.nextCommittee = word();
        uint64 rounds = checkpoints.ROUNDS();
        if (round / rounds != 2) {
            vm.expectRevert(
                abi.encodeWithSelector(Checkpoints.OtherWindow.selector, 2, round / rounds)
            );
            this.landExternally(formed, draft, round);
        }
        land3(formed, draft, 2 * rounds + (round % rounds));
        // From the next epoch on any round will do again.
        land(draftOf(15));
    }

    function test_theCouncilSetsACommitteeOnlyWhereTooFewCheckIn() public {
        joinCouncil();
        (uint32[] memory nodes, bytes32[4][] memory keys) = chosen(2, 2);
        waitForFallback();
        vm.expectRevert(Checkpoints.NoWindow.selector);
        checkpoints.setCommittee(nodes, keys);
        checkInNode(0);
        vm.expectRevert(
            abi.encodeWithSelector(
                Checkpoints.WindowOpen.selector, uint64(block.timestamp) + settings.fallbackWindow
            )
        );
        checkpoints.setCommittee(nodes, keys);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        vm.prank(address(0xbad));
        vm.expectRevert();
        checkpoints.setCommittee(nodes, keys);
        checkpoints.setCommittee(nodes, keys);
        assertEqual("set", uint256(wordOf(2, 2)), uint256(checkpoints.committeeWord()));
        // A new window opens only after as long a wait.
        refusedCheckIn(
            1,
            1,
            abi.encodeWithSelector(
                Checkpoints.NotDue.selector, block.timestamp + settings.fallbackAfter
            )
        );
    }

    /// Nodes come again as soon as a window has ended: there is always one open.
    function test_theCouncilIsNotKeptOutByWindowsThatFollow() public {
        joinCouncil();
        (uint32[] memory nodes, bytes32[4][] memory keys) = chosen(0, 3);
        waitForFallback();
        checkInNode(0);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        checkInNode(0);
        checkInNode(1);
        checkInNode(2);
        vm.expectRevert(Checkpoints.NoFault.selector);
        checkpoints.setCommittee(nodes, keys);
        land(draftOf(15));
        vm.warp(block.timestamp + settings.fallbackAfter);
        checkInNode(0);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        checkInNode(0);
        checkpoints.setCommittee(nodes, keys);
        assertEqual("set", uint256(wordOf(0, 3)), uint256(checkpoints.committeeWord()));
    }

    /// Who checks in, is a majority with others, and does not sign, would stop the network for good.
    function test_theCouncilReplacesACommitteeThatFormedAndDidNotSign() public {
        joinCouncil();
        (uint32[] memory nodes, bytes32[4][] memory keys) = chosen(0, 2);
        waitForFallback();
        for (uint32 i = 0; i < NODES; ++i) checkInNode(i);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        checkpoints.formCommittee();
        uint256 due = block.timestamp + settings.fallbackAfter;
        vm.warp(due - 1);
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.NotDue.selector, due));
        checkpoints.setCommittee(nodes, keys);
        vm.warp(due);
        for (uint32 i = 0; i < NODES; ++i) checkInNode(i);
        checkpoints.setCommittee(nodes, keys);
        (Committee memory formed,) = committeeOf(2, 0);
        Draft memory draft = draftOf(15);
        draft.nextCommittee = word();
        land3(formed, draft, 3 * checkpoints.ROUNDS());
    }

    /// A majority that signs falsely and forms anew after each cancellation would keep the council out.
    function test_theCouncilReplacesACommitteeWhoseCheckpointWasCancelled() public {
        joinCouncil();
        guard();
        (uint32[] memory nodes, bytes32[4][] memory keys) = chosen(0, 2);
        bytes memory zero = land(draftOf(15));
        vm.warp(block.timestamp + settings.fallbackAfter);
        for (uint32 i = 0; i < 3; ++i) checkInNode(i);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        // Without a cancellation who checked in comes first.
        vm.expectRevert(Checkpoints.NoFault.selector);
        checkpoints.setCommittee(nodes, keys);
        uint64 rounds = checkpoints.ROUNDS();
        (Committee memory formed,) = committeeOf(3, 0);
        for (uint64 i = 0; i < 2; ++i) {
            checkpoints.formCommittee();
            Draft memory signed = draftOf(15);
            signed.nextCommittee = word();
            land3(formed, signed, rounds + i);
            checkpoints.cancel(1, zero);
        }
        checkpoints.setCommittee(nodes, keys);
        ++_windows;
        assertEqual("set", uint256(wordOf(0, 2)), uint256(checkpoints.committeeWord()));
        (formed,) = committeeOf(2, 0);
        Draft memory draft = draftOf(15);
        draft.nextCommittee = word();
        land3(formed, draft, 2 * rounds);
        // The epoch after it was not cancelled.
        vm.warp(block.timestamp + settings.fallbackAfter);
        for (uint32 i = 0; i < 3; ++i) checkInNode(i);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        vm.expectRevert(Checkpoints.NoFault.selector);
        checkpoints.setCommittee(nodes, keys);
    }

    /// Nor does it come before nodes could check in.
    function test_afterACancellationTheCouncilWaitsForTheWindow() public {
        joinCouncil();
        guard();
        (uint32[] memory nodes, bytes32[4][] memory keys) = chosen(0, 2);
        bytes memory zero = land(draftOf(15));
        uint256 due = block.timestamp + settings.fallbackAfter;
        land(draftOf(15));
        checkpoints.cancel(1, zero);
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.NotDue.selector, due));
        checkpoints.setCommittee(nodes, keys);
        vm.warp(due);
        vm.expectRevert(Checkpoints.NoWindow.selector);
        checkpoints.setCommittee(nodes, keys);
        for (uint32 i = 0; i < 3; ++i) checkInNode(i);
        vm.expectRevert(
            abi.encodeWithSelector(Checkpoints.WindowOpen.selector, due + settings.fallbackWindow)
        );
        checkpoints.setCommittee(nodes, keys);
        vm.warp(due + settings.fallbackWindow + 1);
        checkpoints.setCommittee(nodes, keys);
    }

    function testFuzz_theCouncilChoosesOnlyNodesThatCouldCheckIn(uint8 what) public {
        joinCouncil();
        vm.roll(50);
        registerNode(NODES, 5000 ether);
        waitForFallback();
        checkInNode(0);
        vm.warp(block.timestamp + settings.fallbackWindow + 1);
        (uint32[] memory nodes, bytes32[4][] memory keys) = chosen(1, 2);
        bytes memory reason = abi.encodeWithSelector(Checkpoints.NotEligible.selector, 1);
        what = what % 4;
        if (what == 0) {
            (nodes, keys) = chosen(1, 0);
            reason = abi.encodeWithSelector(Checkpoints.NotAllMembers.selector, 1, 0);
        } else if (what == 1) {
            nodes[1] = 1;
            keys[1] = keys[0];
            reason = abi.encodeWithSelector(Checkpoints.AlreadyCheckedIn.selector, 1);
        } else if (what == 2) {
            keys[0] = keys[1];
        } else {
            (nodes, keys) = chosen(NODES, 1);
            reason = abi.encodeWithSelector(Checkpoints.NotEligible.selector, NODES);
        }
        vm.expectRevert(reason);
        checkpoints.setCommittee(nodes, keys);
    }

    function test_aMirrorRepeatsTheCommitteeOfHome() public {
        joinCouncil();
        (uint32[] memory nodes, bytes32[4][] memory keys) = chosen(0, 2);
        waitForFallback();
        bytes32 same = word();
        access.setTargetFunctionRole(
            address(checkpoints), selectors(Checkpoints.repeatCommittee.selector), 2
        );
        vm.expectRevert(Checkpoints.NotMirror.selector);
        checkpoints.repeatCommittee(same, 1);
        settings.home = checkpoints.networkId(checkpoints.genesis());
        Checkpoints home = checkpoints;
        checkpoints = new Checkpoints(address(access), NodeRegistry(address(0)), settings);
        access.setTargetFunctionRole(
            address(checkpoints), selectors(Checkpoints.repeatCommittee.selector), 2
        );
        Draft memory first;
        first.epoch = GENESIS_EPOCH;
        first.nextCommittee = word();
        checkpoints.start(home.genesis(), word(), encode(first));
        vm.warp(block.timestamp + settings.fallbackAfter);
        vm.expectRevert();
        checkpoints.setCommittee(nodes, keys);
        bytes32 made = wordOf(0, 2);
        vm.prank(address(0xbad));
        vm.expectRevert();
        checkpoints.repeatCommittee(made, 7);
        checkpoints.repeatCommittee(made, 7);
        (Committee memory formed,) = committeeOf(2, 0);
        Draft memory draft = draftOf(15);
        draft.nextCommittee = word();
        uint64 rounds = checkpoints.ROUNDS();
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.OtherWindow.selector, 7, 0));
        this.landExternally(formed, draft, 3);
        land3(formed, draft, 7 * rounds + 3);
    }

    function landExternally(Committee calldata signers, Draft calldata draft, uint64 round)
        external
    {
        land3(signers, draft, round);
    }

    function submitExternally(bytes memory checkpoint, uint64 epoch, uint64 round) external {
        submit(checkpoint, epoch, round);
    }

    function draftOf(uint64 base) private pure returns (Draft memory draft) {
        draft.baseNumber = base;
    }

    /// Lands epochs 0 and 1, the second naming a committee for epoch 2.
    function landNaming(Committee memory next)
        private
        returns (bytes memory zero, bytes memory one)
    {
        zero = land(draftOf(15));
        Draft memory draft = draftOf(15);
        draft.nextCommittee = keccak256(abi.encode(next));
        one = land(draft);
    }

    function landThird(Committee memory next) private returns (bytes memory, bytes memory) {
        return landThird(next, 15);
    }

    function landThird(Committee memory next, uint64 base)
        private
        returns (bytes memory second, bytes memory third)
    {
        Draft memory draft = draftOf(15);
        draft.epoch = 2;
        draft.parent = checkpoints.rootOf(1);
        draft.nextCommittee = word();
        second = encode(draft);
        draft = draftOf(base);
        draft.nextCommittee = keccak256(abi.encode(next));
        third = land(draft);
    }

    function refusedAtTermEnd(uint256[] memory weights, uint256 which) private {
        (Committee memory good, Absent memory members) = committeeWith(weights);
        (bytes memory second, bytes memory third) = landThird(good);
        Absent memory member = only(members, which);
        vm.expectRevert(Checkpoints.NoFault.selector);
        checkpoints.veto(3, second, third, "", good, member);
        guard();
        checkpoints.cancel(3, second);
    }

    function joinCouncil() private {
        access.setTargetFunctionRole(
            address(checkpoints), selectors(Checkpoints.setCommittee.selector), 2
        );
        access.grantRole(2, address(this), 0);
    }

    /// Registered nodes from an index on, and their keys.
    function chosen(uint32 from, uint32 count)
        private
        view
        returns (uint32[] memory nodes, bytes32[4][] memory keys)
    {
        nodes = new uint32[](count);
        keys = new bytes32[4][](count);
        for (uint32 i = 0; i < count; ++i) {
            nodes[i] = from + i;
            keys[i] = BlsSigner.publicKey(secretOf(from + i));
        }
    }

    function wordOf(uint32 from, uint32 count) private view returns (bytes32) {
        bytes32[] memory leaves = new bytes32[](count);
        Committee memory made;
        uint256 secret;
        for (uint32 i = 0; i < count; ++i) {
            uint256 weight = 1000 + from + i;
            leaves[i] = keccak256(
                abi.encode(BlsSigner.publicKey(secretOf(from + i)), weight)
            );
            secret += secretOf(from + i);
            made.weight += weight;
        }
        made.count = count;
        made.key = BlsSigner.publicKey(secret);
        made.members = rootOfLeaves(padded(leaves));
        return keccak256(abi.encode(made));
    }

    /// Lands the next checkpoint, signed by another committee.
    function land3(Committee memory signers, Draft memory draft, uint64 round)
        private
        returns (bytes memory checkpoint)
    {
        draft.epoch = nextEpoch();
        unchecked {
            draft.parent = checkpoints.rootOf(draft.epoch - 1);
        }
        checkpoint = encode(draft);
        bytes32 message = checkpoints.voteSigningRoot(
            checkpoints.genesis(), draft.epoch, round, this.rootOfContainer(checkpoint)
        );
        uint256 secret;
        for (uint32 i = 0; i < signers.count; ++i) secret += secretOf(i);
        Absent memory absent;
        checkpoints.submit(checkpoint, round, signers, absent, BlsSigner.sign(secret, message));
    }

    function termOf(uint64 base) private view returns (bytes memory) {
        Draft memory draft = draftOf(base == 0 ? 15 : base);
        draft.nextCommittee = word();
        draft.parent = checkpoints.rootOf(GENESIS_EPOCH);
        return encode(draft);
    }

    function assertCancelled(uint64 epoch) private {
        assertEqual("last", epoch - 1, checkpoints.lastEpoch());
        assertEqual("committee", uint256(word()), uint256(checkpoints.committeeWord()));
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.EpochNotKept.selector, epoch));
        checkpoints.rootOf(epoch);
    }

    function guard() private {
        access.setTargetFunctionRole(
            address(checkpoints), selectors(Checkpoints.cancel.selector), 1
        );
        access.grantRole(1, address(this), 0);
    }

    function waitForFallback() private {
        vm.warp(checkpoints.genesis() + settings.fallbackAfter);
    }

    function refusedRound(bytes memory checkpoint, uint64 round, bytes32 root) private {
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.RootCancelled.selector, root));
        this.submitExternally(checkpoint, 1, round);
    }

    /// What follows the last checkpoint, with the committee again.
    function follower(Draft memory draft) private view returns (Draft memory) {
        draft.epoch = nextEpoch();
        unchecked {
            draft.parent = checkpoints.rootOf(draft.epoch - 1);
        }
        draft.nextCommittee = word();
        return draft;
    }

    /// For whichever window is open, or opens with it.
    function checkInNode(uint32 node) private {
        bytes32[8] memory signature = checkInSignature(node, nextEpoch(), openWindow());
        checkpoints.checkIn(node, BlsSigner.publicKey(secretOf(node)), signature);
    }

    function refusedCheckIn(uint32 node, uint32 key, bytes memory reason) private {
        bytes32[4] memory point = BlsSigner.publicKey(secretOf(key));
        bytes32[8] memory signature = checkInSignature(key, nextEpoch(), openWindow());
        vm.expectRevert(reason);
        checkpoints.checkIn(node, point, signature);
    }

    function checkInSignature(uint32 key, uint64 epoch, uint64 window_)
        private
        view
        returns (bytes32[8] memory)
    {
        bytes32 message = checkpoints.checkInSigningRoot(checkpoints.genesis(), epoch, window_);
        return BlsSigner.sign(secretOf(key), message);
    }

    function openWindow() private returns (uint64) {
        if (_windowEnd < block.timestamp) {
            _windowEnd = uint64(block.timestamp) + settings.fallbackWindow;
            ++_windows;
        }
        return _windows;
    }

    function selectors(bytes4 one) private pure returns (bytes4[] memory list) {
        list = new bytes4[](1);
        list[0] = one;
    }

    function emptyRoot() private pure returns (bytes32 node) {
        for (uint256 i = 0; i < 32; ++i) node = sha256(abi.encodePacked(node, node));
    }

    function rightWeights(uint256 count) private pure returns (uint256[] memory weights) {
        weights = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) weights[i] = 1000 + i;
    }

    /// The first registered nodes, and after them so many that are not.
    function committeeOf(uint256 registered, uint256 invented)
        private
        view
        returns (Committee memory, Absent memory)
    {
        return committeeWith(rightWeights(registered + invented));
    }

    function committeeWith(uint256[] memory weights)
        private
        view
        returns (Committee memory made, Absent memory all)
    {
        uint256 count = weights.length;
        all.members = new Member[](count);
        bytes32[] memory leaves = new bytes32[](count);
        uint256 secret;
        for (uint32 i = 0; i < count; ++i) {
            bytes32[4] memory key = BlsSigner.publicKey(secretOf(i));
            all.members[i] = Member(i, key, weights[i]);
            leaves[i] = keccak256(abi.encode(key, weights[i]));
            secret += secretOf(i);
            made.weight += weights[i];
        }
        made.count = count;
        made.key = BlsSigner.publicKey(secret);
        made.members = rootOfLeaves(padded(leaves));
        // The padding's nodes to the right, as siblings.
        all.proof = siblingsOfAll(leaves);
    }

    /// One of all members, with its siblings.
    function only(Absent memory all, uint256 index) private pure returns (Absent memory one) {
        one.members = new Member[](1);
        one.members[0] = all.members[index];
        bytes32[] memory level = new bytes32[](all.members.length);
        for (uint256 i = 0; i < level.length; ++i) {
            level[i] = keccak256(abi.encode(all.members[i].key, all.members[i].weight));
        }
        level = padded(level);
        uint256 levels;
        while (uint256(1) << levels < level.length) ++levels;
        one.proof = new bytes32[](levels);
        for (uint256 h = 0; h < levels; ++h) {
            one.proof[h] = level[(index >> h) ^ 1];
            level = above(level);
        }
    }

    function padded(bytes32[] memory leaves) private pure returns (bytes32[] memory full) {
        uint256 width = 1;
        while (width < leaves.length) width *= 2;
        full = new bytes32[](width);
        for (uint256 i = 0; i < leaves.length; ++i) full[i] = leaves[i];
    }

    function above(bytes32[] memory level) private pure returns (bytes32[] memory upper) {
        upper = new bytes32[](level.length / 2);
        for (uint256 i = 0; i < upper.length; ++i) {
            upper[i] = keccak256(abi.encodePacked(level[2 * i], level[2 * i + 1]));
        }
    }

    function rootOfLeaves(bytes32[] memory level) private pure returns (bytes32) {
        while (level.length > 1) level = above(level);
        return level[0];
    }

    function siblingsOfAll(bytes32[] memory leaves) private pure returns (bytes32[] memory proof) {
        bytes32[] memory found = new bytes32[](32);
        uint256 count;
        uint256 width = leaves.length;
        bytes32 empty = 0;
        for (uint256 full = padded(leaves).length; full > 1; full /= 2) {
            if (width & 1 == 1) found[count++] = empty;
            width = (width + 1) / 2;
            empty = keccak256(abi.encodePacked(empty, empty));
        }
        proof = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) proof[i] = found[i];
    }
}
