// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Deposits} from "../../solidity/Deposits.sol";
import {Payout} from "../../solidity/PayoutTree.sol";
import {Draft, Network} from "./Network.sol";
import {PayoutList} from "./PayoutList.sol";

contract DepositsTest is Network {
    using PayoutList for Payout[];

    address private constant CLIENT = address(0x5000);

    function setUp() public {
        deployAll();
        vm.roll(1000);
        deposits.deposit(CLIENT, 100 ether);
    }

    function testFuzz_paysWhatWasAskedForAndNotSpent(uint128 asked, uint128 spent) public {
        asked = uint128(bounded(asked, 1, 100 ether));
        spent = uint128(bounded(spent, 0, 120 ether));
        request(asked);
        Payout[] memory list = around(spent);
        bytes memory checkpoint = landed(list, 1000);
        if (spent >= 100 ether) {
            refused(
                abi.encodeWithSelector(Deposits.NothingLeft.selector, CLIENT), checkpoint, list, 1
            );
            return;
        }
        withdraw(checkpoint, list, 1);
        uint128 left = 100 ether - spent;
        assertEqual("paid", asked < left ? asked : left, token.balanceOf(CLIENT));
        refused(
            abi.encodeWithSelector(Deposits.NothingRequested.selector, CLIENT), checkpoint, list, 1
        );
    }

    function testFuzz_paysOnlyFromABaseThatSawTheRequest(uint64 base) public {
        request(1 ether);
        base = uint64(bounded(base, 0, 999));
        Payout[] memory list = around(0);
        refused(
            abi.encodeWithSelector(Deposits.BaseTooOld.selector, 1000, base),
            landed(list, base),
            list,
            1
        );
    }

    function test_aNewRequestWaitsAgain() public {
        request(1 ether);
        vm.roll(1001);
        request(2 ether);
        Payout[] memory list = around(0);
        refused(
            abi.encodeWithSelector(Deposits.BaseTooOld.selector, 1001, 1000),
            landed(list, 1000),
            list,
            1
        );
        withdraw(landed(list, 1001), list, 1);
        assertEqual("paid", 2 ether, token.balanceOf(CLIENT));
    }

    function testFuzz_asksForNoMoreThanTheDeposit(uint128 amount) public {
        amount = uint128(bounded(amount, 100 ether + 1, type(uint128).max));
        vm.prank(CLIENT);
        vm.expectRevert(
            abi.encodeWithSelector(Deposits.AboveDeposit.selector, uint128(100 ether), amount)
        );
        deposits.requestWithdrawal(amount);
    }

    function test_refusesTheLeafOfAnotherAccount() public {
        request(1 ether);
        Payout[] memory list = around(50 ether);
        bytes memory checkpoint = landed(list, 1000);
        Deposits.Proof memory proof = proofOf(list, 0);
        vm.expectRevert(
            abi.encodeWithSelector(Deposits.OtherAccount.selector, CLIENT, list[0].account)
        );
        deposits.withdraw(CLIENT, checkpoint, proof);
    }

    function testFuzz_refusesALeafThatIsNotThere(uint8 what, uint128 change) public {
        request(1 ether);
        Payout[] memory list = around(50 ether);
        bytes memory checkpoint = landed(list, 1000);
        Deposits.Proof memory proof = proofOf(list, 1);
        change = uint128(bounded(change, 1, type(uint32).max));
        if (what % 4 == 0) proof.payout.spent -= change;
        if (what % 4 == 1) proof.payout.earned += change;
        if (what % 4 == 2) proof.payout.index = uint32(bounded(change, 2, type(uint32).max));
        if (what % 4 == 3) {
            uint256 place = change % 33;
            proof.path[place] = bytes32(uint256(proof.path[place]) ^ change);
        }
        vm.expectRevert(Deposits.NotInPayouts.selector);
        deposits.withdraw(CLIENT, checkpoint, proof);
    }

    function testFuzz_paysAnAccountThatIsNotInTheList(uint8 size, uint8 place) public {
        request(3 ether);
        Payout[] memory list = withoutClient(bounded(size, 0, 9), bounded(place, 0, 9));
        bytes memory checkpoint = landed(list, 1000);
        deposits.withdrawUnspent(CLIENT, checkpoint, neighbours(list));
        assertEqual("paid", 3 ether, token.balanceOf(CLIENT));
    }

    function testFuzz_refusesAbsenceOfAnAccountThatSpent(uint8 size, uint8 left, uint8 right)
        public
    {
        request(3 ether);
        Payout[] memory others = withoutClient(bounded(size, 0, 9), size % 10);
        Payout[] memory list = new Payout[](others.length + 1);
        uint256 at_ = 0;
        while (at_ < others.length && others[at_].account < CLIENT) ++at_;
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = i == at_ ? Payout(CLIENT, 0, 40 ether, 0) : others[i < at_ ? i : i - 1];
            list[i].index = uint32(i);
        }
        bytes memory checkpoint = landed(list, 1000);
        // Any one or two leaves, and none.
        Deposits.Proof[] memory proofs = new Deposits.Proof[](right % 3);
        if (proofs.length > 0) proofs[0] = proofOf(list, left % list.length);
        if (proofs.length > 1) proofs[1] = proofOf(list, right % list.length);
        vm.expectRevert(abi.encodeWithSelector(Deposits.NotAbsent.selector, CLIENT));
        deposits.withdrawUnspent(CLIENT, checkpoint, proofs);
    }

    /// The leaves on both sides of the account, with its own between them.
    function test_refusesNeighboursThatAreNotNextToEachOther() public {
        request(3 ether);
        Payout[] memory list = around(40 ether);
        bytes memory checkpoint = landed(list, 1000);
        Deposits.Proof[] memory proofs = new Deposits.Proof[](2);
        (proofs[0], proofs[1]) = (proofOf(list, 0), proofOf(list, 2));
        vm.expectRevert(abi.encodeWithSelector(Deposits.NotAbsent.selector, CLIENT));
        deposits.withdrawUnspent(CLIENT, checkpoint, proofs);
        // Nor is one of them the first or the last.
        for (uint256 i = 0; i < 3; i += 2) {
            Deposits.Proof[] memory one = new Deposits.Proof[](1);
            one[0] = proofOf(list, i);
            vm.expectRevert(abi.encodeWithSelector(Deposits.NotAbsent.selector, CLIENT));
            deposits.withdrawUnspent(CLIENT, checkpoint, one);
        }
    }

    function testFuzz_movesTokensForTheDistributorAlone(address sender, uint256 amount) public {
        vm.assume(sender != address(distributor));
        vm.prank(sender);
        vm.expectRevert(abi.encodeWithSelector(Deposits.NotDistributor.selector, sender));
        deposits.collect(amount);
    }

    function request(uint128 amount) private {
        vm.prank(CLIENT);
        deposits.requestWithdrawal(amount);
    }

    function withdraw(bytes memory checkpoint, Payout[] memory list, uint256 i) private {
        deposits.withdraw(CLIENT, checkpoint, proofOf(list, i));
    }

    function refused(bytes memory error, bytes memory checkpoint, Payout[] memory list, uint256 i)
        private
    {
        Deposits.Proof memory proof = proofOf(list, i);
        vm.expectRevert(error);
        deposits.withdraw(CLIENT, checkpoint, proof);
    }

    function proofOf(Payout[] memory list, uint256 i)
        private
        pure
        returns (Deposits.Proof memory)
    {
        return Deposits.Proof(list[i], list.fullPath(i));
    }

    /// The client among two others.
    function around(uint128 spent) private pure returns (Payout[] memory list) {
        list = new Payout[](3);
        list[0] = Payout(address(0x10), 1 ether, 0, 0);
        list[1] = Payout(CLIENT, 0, spent, 1);
        list[2] = Payout(address(0x9000), 2 ether, 0, 2);
    }

    /// Accounts of which the first `below` come before the client.
    function withoutClient(uint256 size, uint256 below)
        private
        pure
        returns (Payout[] memory list)
    {
        list = new Payout[](size);
        for (uint256 i = 0; i < size; ++i) {
            uint160 account = uint160(i < below ? 0x10 + i : 0x9000 + i);
            list[i] = Payout(address(account), 1 ether, 0, uint32(i));
        }
    }

    function neighbours(Payout[] memory list) private pure returns (Deposits.Proof[] memory) {
        uint256 after_ = 0;
        while (after_ < list.length && list[after_].account < CLIENT) ++after_;
        uint256 first = after_ == 0 ? 0 : after_ - 1;
        uint256 end = after_ == list.length ? after_ : after_ + 1;
        Deposits.Proof[] memory proofs = new Deposits.Proof[](end - first);
        for (uint256 i = first; i < end; ++i) proofs[i - first] = proofOf(list, i);
        return proofs;
    }

    function landed(Payout[] memory list, uint64 base) private returns (bytes memory) {
        Draft memory draft;
        draft.payouts = list.root();
        draft.baseNumber = base;
        return land(draft);
    }
}
