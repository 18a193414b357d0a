// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {CairnToken} from "../../solidity/CairnToken.sol";
import {NodeRegistry} from "../../solidity/NodeRegistry.sol";
import {Payout, PayoutTree} from "../../solidity/PayoutTree.sol";
import {RewardDistributor} from "../../solidity/RewardDistributor.sol";
import {Draft, Network} from "./Network.sol";
import {PayoutList} from "./PayoutList.sol";

/// @title A token that hands control to whoever it pays, and a receiver who claims again then
contract GreedyToken {
    mapping(address account => uint256) public balanceOf;

    function approve(address, uint256) external pure returns (bool) {
        return true;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        if (to.code.length != 0) Greedy(to).received();
        return true;
    }
}

contract Greedy {
    RewardDistributor private _distributor;
    Payout private _payout;
    bytes32[] private _path;
    bool public tried;
    bool public succeeded;

    function aim(RewardDistributor distributor, Payout calldata payout, bytes32[] calldata path)
        external
    {
        _distributor = distributor;
        _payout = payout;
        _path = path;
    }

    function received() external {
        tried = true;
        try _distributor.claim(0, _payout, _path) {
            succeeded = true;
        } catch {
            return;
        }
    }
}

contract RewardDistributorTest is Network {
    using PayoutList for Payout[];

    uint128 private constant FEES = 500 ether;

    function setUp() public {
        deployAll();
        deposits.deposit(address(this), 1_000_000 ether);
    }

    function testFuzz_paysEveryAccountItsTotalOnce(uint8 size, uint256 salt) public {
        Payout[] memory list = listOf(bounded(size, 1, 40), salt, 10 ether);
        fund(landed(list, FEES), list);
        for (uint256 i = 0; i < list.length; ++i) {
            pay(0, list, i);
            assertEqual("paid", list[i].earned, token.balanceOf(list[i].account));
            refused(abi.encodeWithSelector(RewardDistributor.NothingDue.selector, list[i].account), 0, list[i], list.path(i, list.levels()));
        }
        assertEqual("left", 0, token.balanceOf(address(distributor)));
        assertEqual("total", distributor.earnedTotal(), distributor.claimedTotal());
    }

    function testFuzz_paysTheDifferenceOfLaterTotals(uint256 salt, uint128 more) public {
        Payout[] memory list = listOf(5, salt, 10 ether);
        fund(landed(list, 0), list);
        pay(0, list, 2);
        uint256 before = token.balanceOf(list[2].account);
        list[2].earned += uint128(bounded(more, 1, 100 ether));
        fund(landed(list, 0), list);
        pay(1, list, 2);
        assertEqual("paid", list[2].earned, token.balanceOf(list[2].account));
        assertTrue("more", token.balanceOf(list[2].account) > before);
        // An older checkpoint stays claimable, and owes nothing any more.
        Payout[] memory old = listOf(5, salt, 10 ether);
        refused(abi.encodeWithSelector(RewardDistributor.NothingDue.selector, list[2].account), 0, old[2], old.path(2, old.levels()));
    }

    function testFuzz_refusesAnyOtherLeaf(uint256 salt, uint8 what, uint128 change) public {
        Payout[] memory list = listOf(6, salt, 10 ether);
        fund(landed(list, 0), list);
        Payout memory wrong =
            Payout(list[3].account, list[3].earned, list[3].spent, list[3].index);
        change = uint128(bounded(change, 1, type(uint64).max));
        if (what % 4 == 0) wrong.earned += change;
        if (what % 4 == 1) wrong.spent += change;
        if (what % 4 == 2) wrong.account = address(uint160(wrong.account) ^ uint160(change));
        if (what % 4 == 3) wrong.index = uint32(bounded(change, 4, 7));
        refused(abi.encodeWithSelector(RewardDistributor.NotFunded.selector, 0), 0, wrong, list.path(3, list.levels()));
    }

    function testFuzz_refusesPathsOfAnotherLength(uint256 salt, uint8 height) public {
        Payout[] memory list = listOf(6, salt, 10 ether);
        fund(landed(list, 0), list);
        height = uint8(bounded(height, 0, 32));
        vm.assume(height != 3);
        bytes memory error = height < 2
            ? abi.encodeWithSelector(PayoutTree.BadIndex.selector, 2)
            : abi.encodeWithSelector(RewardDistributor.NotFunded.selector, 0);
        refused(error, 0, list[2], list.path(2, height));
    }

    function testFuzz_refusesIndicesBeyondThePath(uint256 salt, uint32 index) public {
        Payout[] memory list = listOf(6, salt, 10 ether);
        fund(landed(list, 0), list);
        index = uint32(bounded(index, 8, type(uint32).max));
        Payout memory wrong = Payout(list[2].account, list[2].earned, list[2].spent, index);
        refused(
            abi.encodeWithSelector(PayoutTree.BadIndex.selector, index), 0, wrong, list.path(2, 3)
        );
    }

    function testFuzz_mintsNoMoreThanTheEmission(uint128 fees, uint128 earned, uint8 skipped) public {
        uint256 epochs = bounded(skipped, 1, 5);
        fees = uint128(bounded(fees, 0, 100_000 ether));
        earned = uint128(bounded(earned, 0, 200_000 ether));
        Payout[] memory list = new Payout[](1);
        list[0] = Payout(address(0xabc), earned, 0, 0);
        bytes memory checkpoint;
        for (uint256 i = 1; i < epochs; ++i) landed(new Payout[](0), 0);
        checkpoint = landed(list, fees);
        uint256 supply = token.totalSupply();
        uint256 burned = fees * FEE_BURN / 1_000_000;
        uint256 most = EMISSION * epochs;
        uint256 minted = earned > fees - burned ? earned - (fees - burned) : 0;
        // The rounding of burns may go either way, by less than a unit for each fee.
        uint256 excess = minted > most ? minted - most : 0;
        if (excess > burned || excess > distributor.ROUNDING() * epochs) {
            vm.expectRevert(
                abi.encodeWithSelector(RewardDistributor.AboveEmission.selector, most, minted)
            );
            this.fundExternally(checkpoint, list);
            return;
        }
        fund(checkpoint, list);
        assertEqual("owed is held", earned, token.balanceOf(address(distributor)));
        assertEqual("minted - burned", supply + earned, token.totalSupply() + fees);
        assertTrue("emission", token.mintedIn(0) <= most);
    }

    function test_mintsByTheEmissionThatTheBaseHad() public {
        vm.roll(20);
        parameters.set("emission", 750 ether);
        bytes memory before = landedAt(19, 900 ether);
        bytes memory later = landedAt(20, 1800 ether);
        Payout[] memory list = earning(900 ether);
        fund(before, list);
        list = earning(1800 ether);
        vm.expectRevert(
            abi.encodeWithSelector(RewardDistributor.AboveEmission.selector, 750 ether, 900 ether)
        );
        this.fundExternally(later, list);
    }

    function test_burnsByTheShareThatTheBaseHad() public {
        vm.roll(20);
        parameters.set("feeBurn", 150_000);
        Payout[] memory none = new Payout[](0);
        uint256 supply = token.totalSupply();
        Draft memory draft;
        draft.payouts = none.root();
        draft.baseNumber = 20;
        draft.spentTotal = 100 ether;
        draft.earnedTotal = 85 ether;
        fund(land(draft), none);
        assertEqual("burned", supply - 15 ether, token.totalSupply());
    }

    function test_refusesTotalsThatFall() public {
        Payout[] memory list = listOf(3, 1, 10 ether);
        fund(landed(list, FEES), list);
        list[1].earned -= 1;
        bytes memory checkpoint = landed(list, 0);
        vm.expectRevert(RewardDistributor.TotalsFell.selector);
        this.fundExternally(checkpoint, list);
    }

    function test_refusesFeesThatTheDepositsDoNotHold() public {
        Payout[] memory list = listOf(3, 1, 10 ether);
        bytes memory checkpoint = landed(list, 1_000_001 ether);
        vm.expectRevert();
        this.fundExternally(checkpoint, list);
        assertEqual("nothing is open", 0, distributor.earnedTotal());
    }

    function test_fundsAnEpochOnceAndInOrder() public {
        Payout[] memory list = listOf(3, 1, 10 ether);
        bytes memory zero = landed(list, 0);
        bytes memory one = landed(list, 0);
        fund(one, list);
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(RewardDistributor.EpochFunded.selector, 1, 1 - i)
            );
            this.fundExternally(i == 0 ? one : zero, list);
        }
    }

    function testFuzz_refusesACheckpointThatIsNotTheAcceptedOne(uint8 where, uint8 change) public {
        Payout[] memory list = listOf(3, 1, 10 ether);
        bytes memory checkpoint = landed(list, 0);
        vm.assume(change != 0);
        // Beyond the epoch, which says what is compared with.
        uint256 place = bounded(where, 8, 255);
        checkpoint[place] = bytes1(uint8(checkpoint[place]) ^ change);
        vm.expectRevert();
        this.fundExternally(checkpoint, list);
    }

    function testFuzz_refusesAnotherTrunkOrLength(bytes32 trunk, uint32 length) public {
        Payout[] memory list = listOf(5, 1, 10 ether);
        bytes memory checkpoint = landed(list, 0);
        bytes32 right = list.trunk();
        vm.assume(trunk != right);
        vm.assume(length != 5);
        vm.expectRevert();
        distributor.fund(checkpoint, trunk, 5);
        vm.expectRevert();
        distributor.fund(checkpoint, right, length);
    }

    function testFuzz_outflowIsBoundedAndRefills(uint32 wait) public {
        uint128 much = OUTFLOW_MAX + 500_000 ether;
        Payout[] memory list = new Payout[](1);
        list[0] = Payout(address(0xabc), much, 0, 0);
        deposits.deposit(address(this), much * 2);
        fund(landed(list, uint128(uint256(much) * 10 / 9) + 1), list);
        assertEqual("at once", OUTFLOW_MAX, this.claim(0, list[0], new bytes32[](0)));
        vm.expectRevert(RewardDistributor.OutflowLimit.selector);
        this.claim(0, list[0], new bytes32[](0));
        uint256 time = bounded(wait, 1, 2 days);
        vm.warp(block.timestamp + time);
        uint256 room = uint256(OUTFLOW_MAX) * time / 1 days;
        if (room > OUTFLOW_MAX) room = OUTFLOW_MAX;
        uint256 paid = this.claim(0, list[0], new bytes32[](0));
        assertEqual("refilled", room < 500_000 ether ? room : 500_000 ether, paid);
    }

    function test_paysManyAtOnceAndPassesOverThosePaid() public {
        Payout[] memory list = listOf(7, 3, 10 ether);
        fund(landed(list, 0), list);
        pay(0, list, 4);
        bytes32[][] memory paths = new bytes32[][](7);
        for (uint256 i = 0; i < 7; ++i) paths[i] = list.path(i, list.levels());
        distributor.claimMany(0, list, paths);
        for (uint256 i = 0; i < 7; ++i) {
            assertEqual("paid", list[i].earned, token.balanceOf(list[i].account));
        }
    }

    function test_refusesMoreClaimsAtOnceThanItsBound() public {
        Payout[] memory list = new Payout[](65);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooMany.selector, 64, 65));
        distributor.claimMany(0, list, new bytes32[][](65));
    }

    function test_bondsOnlyForTheAccountItself() public {
        Payout[] memory list = listOf(3, 3, 10 ether);
        fund(landed(list, 0), list);
        bytes32[] memory path = list.path(0, list.levels());
        vm.expectRevert(
            abi.encodeWithSelector(
                RewardDistributor.NotOwner.selector, list[0].account, address(this)
            )
        );
        distributor.claimAndBond(0, list[0], path, 0);
        vm.prank(list[0].account);
        vm.expectRevert(abi.encodeWithSelector(NodeRegistry.NoNode.selector, 0));
        distributor.claimAndBond(0, list[0], path, 0);
        assertEqual("nothing is booked", 0, distributor.claimed(list[0].account));
    }

    function test_paysOnceWhoeverReenters() public {
        GreedyToken greedy = new GreedyToken();
        RewardDistributor other = new RewardDistributor(
            CairnToken(address(greedy)),
            checkpoints,
            deposits,
            registry,
            parameters,
            OUTFLOW_MAX
        );
        Greedy receiver = new Greedy();
        Payout[] memory list = new Payout[](2);
        list[0] = Payout(address(receiver), 7 ether, 0, 0);
        list[1] = Payout(address(type(uint160).max), 9 ether, 0, 1);
        other.fund(landed(list, 0), list.trunk(), 2);
        receiver.aim(other, list[0], list.path(0, 1));
        other.claim(0, list[0], list.path(0, 1));
        assertTrue("it tried", receiver.tried());
        assertTrue("in vain", !receiver.succeeded());
        assertEqual("once", 7 ether, greedy.balanceOf(address(receiver)));
    }

    function refused(
        bytes memory error,
        uint64 epoch,
        Payout memory payout,
        bytes32[] memory path
    ) private {
        vm.expectRevert(error);
        distributor.claim(epoch, payout, path);
    }

    function claim(uint64 epoch, Payout calldata payout, bytes32[] calldata path)
        external
        returns (uint256)
    {
        return distributor.claim(epoch, payout, path);
    }

    /// For what must revert: one call, whatever is computed for it.
    function fundExternally(bytes memory checkpoint, Payout[] memory list) external {
        fund(checkpoint, list);
    }

    function fund(bytes memory checkpoint, Payout[] memory list) private {
        distributor.fund(checkpoint, list.trunk(), uint32(list.length));
    }

    function pay(uint64 epoch, Payout[] memory list, uint256 i) private {
        distributor.claim(epoch, list[i], list.path(i, list.levels()));
    }

    /// A checkpoint with these totals, whose fees are those given more than before.
    function landed(Payout[] memory list, uint128 fees) private returns (bytes memory) {
        Draft memory draft;
        draft.payouts = list.root();
        for (uint256 i = 0; i < list.length; ++i) draft.earnedTotal += list[i].earned;
        draft.spentTotal = distributor.spentTotal() + fees;
        return land(draft);
    }

    function landedAt(uint64 base, uint128 earned) private returns (bytes memory) {
        Draft memory draft;
        draft.payouts = earning(earned).root();
        draft.baseNumber = base;
        draft.earnedTotal = earned;
        return land(draft);
    }

    function earning(uint128 amount) private pure returns (Payout[] memory list) {
        list = new Payout[](1);
        list[0] = Payout(address(0xabc), amount, 0, 0);
    }

    function listOf(uint256 size, uint256 salt, uint128 most)
        private
        pure
        returns (Payout[] memory list)
    {
        list = new Payout[](size);
        for (uint256 i = 0; i < size; ++i) {
            uint256 random = uint256(keccak256(abi.encode(salt, i)));
            // Ascending, with gaps.
            address account = address(uint160(0x1000 + i * 0x100 + (random & 0xff)));
            list[i] = Payout(account, uint128(1 + (random >> 8) % most), 0, uint32(i));
        }
    }
}
