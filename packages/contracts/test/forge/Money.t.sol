// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Deposits} from "../../solidity/Deposits.sol";
import {Payout} from "../../solidity/PayoutTree.sol";
import {Draft, Network} from "./Network.sol";
import {PayoutList} from "./PayoutList.sol";

/// @title A network that settles as the protocol does, with clients and earners who act at random
/// @notice What a settlement sees of deposits is that of its base: an earlier block, at its end. What
/// clients do between that block and the checkpoint it does not see.
contract Economy is Network {
    using PayoutList for Payout[];

    /// Few, so that what is done to one comes together.
    uint256 private constant ACCOUNTS = 2;
    uint256 private constant EPOCHS_MAX = 200;

    /// What an epoch rests on.
    struct Base {
        uint64 number;
        uint256 emission;
        uint256 feeBurn;
    }

    /// A deposit at the base's end.
    struct Seen {
        uint128 deposited;
        uint128 requested;
    }

    uint256 public immutable supply;
    /// What is in the deposits besides what clients may take back.
    uint128 public earnedTotal;
    uint128 public spentTotal;
    uint256 public minted;
    uint256 public burned;
    uint256 public paidOut;
    uint256 public putDown;
    uint256 public withdrawn;
    /// The distributor refused a checkpoint.
    bool public stuck;

    uint128[ACCOUNTS] private _earned;
    uint128[ACCOUNTS] private _spent;
    Seen[ACCOUNTS] private _seen;
    Base private _base;
    Payout[][] private _lists;
    bytes[] private _landed;
    uint256 private _funded;

    constructor() {
        deployAll();
        supply = token.totalSupply();
        look();
    }

    /// The block that ends here is the base of the epochs that are settled from now on.
    function look() public {
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            (_seen[i].deposited, _seen[i].requested,) = deposits.accounts(account(i));
        }
        _base = Base(
            uint64(block.number), parameters.get("emission"), parameters.get("feeBurn")
        );
        vm.roll(block.number + 1);
    }

    function deposit(uint256 who, uint128 amount) external {
        amount = uint128(bounded(amount, 1, 1000 ether));
        deposits.deposit(account(who), amount);
        putDown += amount;
    }

    function request(uint256 who, uint128 amount) external {
        address client = account(who);
        (uint128 deposited,,) = deposits.accounts(client);
        if (deposited == 0) return;
        vm.prank(client);
        deposits.requestWithdrawal(uint128(bounded(amount, 0, deposited)));
    }

    /// Settles an epoch: a fee out of what the base leaves of a deposit, and a reward, both at random.
    function settle(uint256 client, uint256 earner, uint128 fee, uint128 reward) external {
        if (_landed.length == EPOCHS_MAX) return;
        client %= ACCOUNTS;
        Seen memory seen = _seen[client];
        uint128 used = _spent[client] + seen.requested;
        uint128 left = seen.deposited > used ? seen.deposited - used : 0;
        if (fee % 2 == 0) fee = left;
        fee = uint128(bounded(fee, 0, left));
        reward = uint128(bounded(reward, 0, _base.emission));
        uint128 burn = uint128(uint256(fee) * _base.feeBurn / 1_000_000);
        _spent[client] += fee;
        _earned[earner % ACCOUNTS] += reward + fee - burn;
        spentTotal += fee;
        earnedTotal += reward + fee - burn;
        minted += reward;
        burned += burn;
        Draft memory draft;
        Payout[] storage list = _lists.push();
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            list.push(Payout(account(i), _earned[i], _spent[i], uint32(i)));
        }
        draft.payouts = list.root();
        draft.baseNumber = _base.number;
        draft.earnedTotal = earnedTotal;
        draft.spentTotal = spentTotal;
        _landed.push(land(draft));
    }

    /// A vote on the emission or the burn: in force for the epochs whose base comes after it.
    function vote(bool emission, uint256 value) external {
        vm.warp(block.timestamp + PERIOD);
        vm.roll(block.number + 1);
        bytes32 name = emission ? bytes32("emission") : bytes32("feeBurn");
        (uint128 least, uint128 most, uint128 step,) = parameters.limits(name);
        uint256 now_ = parameters.get(name);
        uint256 low = now_ > least + step ? now_ - step : least;
        uint256 high = now_ + step < most ? now_ + step : most;
        parameters.set(name, bounded(value, low, high));
    }

    function fund() external {
        if (_funded == _landed.length) return;
        _funded = _landed.length;
        Payout[] memory list = _lists[_funded - 1];
        try distributor.fund(
            _landed[_funded - 1], list.trunk(), uint32(list.length)
        ) {}
        catch {
            stuck = true;
        }
    }

    function claim(uint256 who) external {
        if (_funded == 0) return;
        who %= ACCOUNTS;
        Payout[] memory list = _lists[_funded - 1];
        if (list[who].earned == distributor.claimed(account(who))) return;
        paidOut += distributor.claim(
            uint64(_funded - 1), list[who], list.path(who, list.levels())
        );
    }

    /// From any checkpoint: which of them have seen the request is for the contract to say.
    function withdraw(uint256 who, uint256 which) external {
        if (_landed.length == 0) return;
        who %= ACCOUNTS;
        address client = account(who);
        which %= _landed.length;
        Payout[] memory list = _lists[which];
        uint256 before = token.balanceOf(address(deposits));
        Deposits.Proof memory proof = Deposits.Proof(list[who], list.fullPath(who));
        try deposits.withdraw(client, _landed[which], proof) {
            withdrawn += before - token.balanceOf(address(deposits));
        } catch {
            return;
        }
    }

    function later(uint16 time) external {
        vm.warp(block.timestamp + time);
    }

    function account(uint256 who) public pure returns (address) {
        return address(uint160(0x1000 * (1 + who % ACCOUNTS)));
    }

    function spentOf(uint256 who) external view returns (uint128) {
        return _spent[who];
    }

    function fundedBooks() external view returns (bool) {
        return _funded == _landed.length;
    }
}

contract MoneyTest is Network {
    Economy private economy;

    function setUp() public {
        economy = new Economy();
        target(address(economy));
    }

    /// Depth: a deposit, its request, a base without it, what is charged there and a withdrawal come
    /// one after the other.
    /// forge-config: default.invariant.depth = 150
    function invariant_everyCheckpointIsFundedWhateverIsVoted() public view {
        assertTrue("funded", !economy.stuck());
    }

    function invariant_theDistributorHoldsWhatItOwes() public view {
        uint256 held = economy.token().balanceOf(address(economy.distributor()));
        uint256 owed = uint256(economy.distributor().earnedTotal()) - economy.paidOut();
        assertTrue("held", held >= owed);
        assertEqual("claimed", economy.paidOut(), economy.distributor().claimedTotal());
    }

    function invariant_theDepositsHoldWhatIsNeitherSpentNorPaidBack() public view {
        uint256 held = economy.token().balanceOf(address(economy.deposits()));
        uint256 left = economy.putDown() - economy.withdrawn() - economy.distributor().spentTotal();
        assertEqual("held", left, held);
    }

    /// forge-config: default.invariant.depth = 150
    function invariant_everyDepositCoversWhatItsAccountSpent() public view {
        for (uint256 i = 0; i < 2; ++i) {
            (uint128 deposited,,) = economy.deposits().accounts(economy.account(i));
            assertTrue("covered", deposited >= economy.spentOf(i));
        }
    }

    function invariant_tokensAreMintedAndBurnedAsSettled() public view {
        if (!economy.fundedBooks()) return;
        assertEqual(
            "supply",
            economy.supply() + economy.minted(),
            economy.token().totalSupply() + economy.burned()
        );
    }
}
