// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {CairnGovernor} from "../../solidity/CairnGovernor.sol";
import {CairnToken} from "../../solidity/CairnToken.sol";
import {Parameters} from "../../solidity/Parameters.sol";
import {Assembly, Motion} from "./Assembly.sol";

/// @title Lends tokens for one transaction, to who votes with them
contract FlashVoter {
    function vote(CairnToken token, CairnGovernor governor, uint256 id, address lender) external {
        uint256 amount = token.balanceOf(lender);
        assert(token.transferFrom(lender, address(this), amount));
        token.delegate(address(this));
        governor.castVote(id, 0);
        assert(token.transfer(lender, amount));
    }
}

/// @title Accounts that propose, vote and carry out at random
contract Parliament is Assembly {
    bytes32 private constant EMISSION_NAME = "emission";

    address[3] private _members;
    Motion[] private _motions;
    uint256[] private _ids;
    /// What the last motion that was carried out says, and whether each had passed.
    uint256 public expected = EMISSION;
    bool public unlawful;

    constructor() {
        convene();
        for (uint160 i = 0; i < 3; ++i) _members[i] = holder(i, 6000 ether);
        vm.warp(block.timestamp + 1);
    }

    function moveMotion(uint256 who, uint256 value) external {
        Motion memory motion = setting(EMISSION_NAME, bounded(value, 600 ether, 1200 ether));
        motion.description = string(abi.encodePacked("motion", bytes1(uint8(_ids.length))));
        _ids.push(propose(_members[who % 3], motion));
        _motions.push(motion);
    }

    function vote(uint256 who, uint256 which, uint8 support) external {
        if (_ids.length == 0) return;
        vm.prank(_members[who % 3]);
        governor.castVote(_ids[which % _ids.length], support % 3);
    }

    /// Two members vote as soon as they can, mostly for it.
    function debate(uint256 which, uint8 one, uint8 other) external {
        if (_ids.length == 0) return;
        uint256 id = _ids[which % _ids.length];
        uint256 start = governor.proposalSnapshot(id) + 1;
        if (block.timestamp < start) vm.warp(start);
        vm.prank(_members[0]);
        governor.castVote(id, one < 200 ? 1 : one % 3);
        vm.prank(_members[1]);
        governor.castVote(id, other < 200 ? 1 : other % 3);
    }

    /// Waits for the end of a vote, and queues what has passed.
    function close(uint256 which) external {
        if (_ids.length == 0) return;
        which %= _ids.length;
        uint256 end = governor.proposalDeadline(_ids[which]) + 1;
        if (block.timestamp < end) vm.warp(end);
        queue(_motions[which]);
    }

    function queueOne(uint256 which) external {
        if (_ids.length != 0) queue(_motions[which % _ids.length]);
    }

    function executeOne(uint256 which) external {
        if (_ids.length == 0) return;
        which %= _ids.length;
        uint256 id = _ids[which];
        uint256 eta = governor.proposalEta(id);
        try this.execute(_motions[which]) {
            (uint256 against, uint256 for_, uint256 abstain) = governor.proposalVotes(id);
            bool quorate = for_ + abstain >= 10_000 ether;
            bool waited = eta != 0 && block.timestamp >= eta
                && eta >= governor.proposalDeadline(id) + TIMELOCK_DELAY;
            if (for_ <= against || !quorate || !waited) unlawful = true;
            expected = parameters.get(EMISSION_NAME);
        } catch {}
    }

    function cancelOne(uint256 which, bool byGuardian, uint256 who) external {
        if (_ids.length == 0) return;
        cancel(_motions[which % _ids.length], byGuardian ? GUARDIAN : _members[who % 3]);
    }

    function later(uint8 time) external {
        vm.warp(block.timestamp + time);
        vm.roll(block.number + 1);
    }
}

contract CairnGovernorTest is Assembly {
    bytes32 private constant NAME = "emission";
    uint256 private constant LESS = 900 ether;

    address private voter;
    Parliament private parliament;

    function setUp() public {
        convene();
        voter = holder(0, 20_000 ether);
        parliament = new Parliament();
        target(address(parliament));
    }

    function test_carriesOutWhatHasPassed() public {
        Motion memory motion = setting(NAME, LESS);
        uint256 id = pass(voter, motion);
        execute(motion);
        assertEqual("emission", LESS, parameters.get(NAME));
        assertTrue("executed", isIn(id, IGovernor.ProposalState.Executed));
        vm.expectRevert();
        this.execute(motion);
        vm.expectRevert();
        this.queue(motion);
    }

    function test_doesNothingBeforeItsTime() public {
        Motion memory motion = setting(NAME, LESS);
        uint256 id = propose(voter, motion);
        vm.expectRevert();
        this.queue(motion);
        vm.expectRevert();
        vm.prank(voter);
        governor.castVote(id, 1);
        vm.warp(block.timestamp + VOTING_DELAY + 1);
        castFor(voter, id);
        vm.expectRevert();
        this.queue(motion);
        vm.warp(governor.proposalDeadline(id) + 1);
        vm.expectRevert();
        this.execute(motion);
        queue(motion);
        vm.warp(block.timestamp + TIMELOCK_DELAY - 1);
        vm.expectRevert();
        this.execute(motion);
        assertEqual("emission", EMISSION, parameters.get(NAME));
    }

    function testFuzz_noVoteMovesAParameterBeyondItsBoundsOrStep(uint256 value) public {
        vm.assume(value < EMISSION * 3 / 4 || value > EMISSION);
        Motion memory motion = setting(NAME, value);
        pass(voter, motion);
        vm.expectRevert();
        this.execute(motion);
        assertEqual("emission", EMISSION, parameters.get(NAME));
    }

    function test_noVoteTakesTwoStepsAtOnce() public {
        Motion memory motion = both(setting(NAME, 800 ether), setting(NAME, 600 ether));
        pass(voter, motion);
        vm.expectRevert(
            abi.encodeWithSelector(
                Parameters.TooSoon.selector, NAME, block.timestamp + PERIOD
            )
        );
        this.execute(motion);
        assertEqual("emission", EMISSION, parameters.get(NAME));
    }

    function test_tokensLentForATransactionDoNotVote() public {
        uint256 id = propose(voter, setting(NAME, LESS));
        vm.warp(block.timestamp + VOTING_DELAY + 1);
        FlashVoter flash = new FlashVoter();
        token.approve(address(flash), type(uint256).max);
        flash.vote(token, governor, id, address(this));
        (uint256 against,,) = governor.proposalVotes(id);
        assertEqual("against", 0, against);
    }

    function testFuzz_proposingTakesTheThreshold(uint256 amount) public {
        amount = bounded(amount, 0, THRESHOLD - 1);
        address poor = holder(1, amount);
        vm.warp(block.timestamp + 1);
        Motion memory motion = setting(NAME, LESS);
        vm.prank(poor);
        vm.expectRevert(
            abi.encodeWithSelector(
                IGovernor.GovernorInsufficientProposerVotes.selector, poor, amount, THRESHOLD
            )
        );
        governor.propose(motion.targets, motion.values, motion.calldatas, motion.description);
    }

    function testFuzz_withoutTheQuorumNothingPasses(uint256 amount) public {
        amount = bounded(amount, THRESHOLD, 30_000 ether);
        address one = holder(1, amount);
        uint256 id = propose(one, setting(NAME, LESS));
        vm.warp(block.timestamp + VOTING_DELAY + 1);
        castFor(one, id);
        vm.warp(block.timestamp + VOTING_PERIOD);
        assertTrue(
            "state",
            isIn(
                id,
                amount < 10_000 ether
                    ? IGovernor.ProposalState.Defeated
                    : IGovernor.ProposalState.Succeeded
            )
        );
    }

    function test_aLateQuorumLeavesTimeToAnswer() public {
        uint256 id = propose(voter, setting(NAME, LESS));
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline);
        castFor(voter, id);
        assertEqual("deadline", deadline + LATE_EXTENSION, governor.proposalDeadline(id));
    }

    function test_bondsVoteForTheirOperatorUntilItLeaves() public {
        token.approve(address(registry), type(uint256).max);
        registerNode(0, 3000 ether);
        registerNode(1, 2000 ether);
        uint256 bonded = block.timestamp;
        vm.warp(bonded + 10);
        registry.addBond(0, 500 ether);
        vm.warp(bonded + 20);
        registry.requestExit(1);
        vm.warp(bonded + 30);
        assertEqual("before", 0, governor.getVotes(address(this), bonded - 1));
        assertEqual("both", 5000 ether, governor.getVotes(address(this), bonded));
        assertEqual("more", 5500 ether, governor.getVotes(address(this), bonded + 19));
        assertEqual("one", 3500 ether, governor.getVotes(address(this), bonded + 20));
        vm.warp(bonded + 200);
        registry.withdraw(1);
        token.delegate(address(this));
        vm.warp(bonded + 201);
        assertEqual(
            "no token twice",
            token.balanceOf(address(this)) + 3500 ether,
            governor.getVotes(address(this), bonded + 200)
        );
    }

    function testFuzz_noTokenVotesTwice(uint96[4] memory bonds, uint8 leaving) public {
        token.approve(address(registry), type(uint256).max);
        token.delegate(address(this));
        for (uint32 i = 0; i < 4; ++i) {
            registerNode(i, uint96(bounded(bonds[i], 1000 ether, 1_000_000 ether)));
        }
        registry.requestExit(leaving % 4);
        vm.warp(block.timestamp + 1);
        uint256 at = block.timestamp - 1;
        uint256 all = governor.getVotes(address(this), at) + governor.getVotes(voter, at);
        (,,,, uint96 left,,,,,,) = registry.nodes(leaving % 4);
        assertEqual("all", token.totalSupply() - left, all);
    }

    function test_theGuardianCancelsAtAnyTimeBefore() public {
        for (uint256 stage = 0; stage < 4; ++stage) {
            Motion memory motion = setting(NAME, LESS - stage);
            uint256 id = propose(voter, motion);
            if (stage > 0) vm.warp(block.timestamp + VOTING_DELAY + 1);
            if (stage > 1) castFor(voter, id);
            if (stage > 1) vm.warp(block.timestamp + VOTING_PERIOD);
            if (stage > 2) queue(motion);
            vm.warp(block.timestamp + 1);
            cancel(motion, GUARDIAN);
            assertTrue("canceled", isIn(id, IGovernor.ProposalState.Canceled));
            vm.warp(block.timestamp + 1000);
            vm.expectRevert();
            this.execute(motion);
        }
    }

    function test_theGuardianCannotStopItsOwnReplacement() public {
        Motion memory removal = both(
            calling(address(access), abi.encodeCall(access.revokeRole, (1, GUARDIAN))),
            calling(address(access), abi.encodeCall(access.grantRole, (1, address(0x77), 0)))
        );
        pass(voter, removal);
        vm.prank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(CairnGovernor.AboutTheGuardian.selector, GUARDIAN));
        governor.cancel(removal.targets, removal.values, removal.calldatas, hashOf(removal));
        execute(removal);
        Motion memory next = setting(NAME, LESS);
        propose(voter, next);
        refused(GUARDIAN, next);
        cancel(next, address(0x77));
    }

    function test_theGuardianStopsWhatHidesBehindItsReplacement() public {
        Motion memory mixed = both(
            calling(address(access), abi.encodeCall(access.revokeRole, (1, GUARDIAN))),
            setting(NAME, LESS)
        );
        propose(voter, mixed);
        cancel(mixed, GUARDIAN);
        // Another role than the guardian's.
        Motion memory other =
            calling(address(access), abi.encodeCall(access.grantRole, (0, voter, 0)));
        propose(voter, other);
        cancel(other, GUARDIAN);
        // Another function, and a call too short to name a role.
        Motion memory admin =
            calling(address(access), abi.encodeCall(access.setRoleAdmin, (1, 2)));
        propose(voter, admin);
        cancel(admin, GUARDIAN);
        Motion memory short_ =
            calling(address(access), abi.encodePacked(access.grantRole.selector));
        propose(voter, short_);
        cancel(short_, GUARDIAN);
    }

    function test_theGuardianDoesNothingElse() public {
        bytes memory unauthorized =
            abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, GUARDIAN);
        vm.startPrank(GUARDIAN);
        vm.expectRevert(unauthorized);
        parameters.set(NAME, LESS);
        vm.expectRevert(unauthorized);
        checkpoints.setCommittee(new uint32[](1), new bytes32[4][](1));
        vm.expectRevert();
        access.grantRole(2, GUARDIAN, 0);
        vm.expectRevert();
        access.setTargetClosed(address(checkpoints), true);
        vm.expectRevert();
        timelock.schedule(address(parameters), 0, "", 0, 0, TIMELOCK_DELAY);
        vm.stopPrank();
    }

    function testFuzz_aStrangerMovesNothing(address sender, bytes32 salt) public {
        vm.assume(sender != voter && sender != GUARDIAN && sender != address(timelock));
        vm.assume(sender != address(governor));
        Motion memory motion = setting(NAME, LESS);
        propose(voter, motion);
        refused(sender, motion);
        vm.startPrank(sender);
        vm.expectRevert();
        timelock.schedule(address(parameters), 0, motion.calldatas[0], 0, salt, TIMELOCK_DELAY);
        vm.expectRevert();
        timelock.execute(address(parameters), 0, motion.calldatas[0], 0, salt);
        vm.expectRevert();
        timelock.updateDelay(0);
        vm.expectRevert();
        governor.setVotingPeriod(1);
        vm.expectRevert();
        governor.updateQuorumNumerator(0);
        vm.expectRevert();
        governor.relay(address(parameters), 0, motion.calldatas[0]);
        vm.expectRevert();
        access.execute(address(parameters), motion.calldatas[0]);
        vm.expectRevert();
        access.grantRole(0, sender, 0);
        vm.stopPrank();
    }

    function test_whoDeployedHasNoRole() public view {
        for (uint64 role = 0; role < 3; ++role) {
            (bool member,) = access.hasRole(role, address(this));
            assertTrue("none", !member);
        }
        assertTrue("admin", !timelock.hasRole(timelock.DEFAULT_ADMIN_ROLE(), address(this)));
    }

    function invariant_nothingIsCarriedOutUnlessItPassedAndWaited() public view {
        assertTrue("lawful", !parliament.unlawful());
        assertEqual("emission", parliament.expected(), parliament.parameters().get(NAME));
    }

    function refused(address sender, Motion memory motion) private {
        uint256 id = governor.getProposalId(
            motion.targets, motion.values, motion.calldatas, hashOf(motion)
        );
        vm.prank(sender);
        vm.expectRevert(
            abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, id, sender)
        );
        governor.cancel(motion.targets, motion.values, motion.calldatas, hashOf(motion));
    }
}
