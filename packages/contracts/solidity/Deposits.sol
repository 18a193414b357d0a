// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {CheckpointContainer} from "./CheckpointContainer.sol";
import {Checkpoints} from "./Checkpoints.sol";
import {LogCount} from "./LogCount.sol";
import {Payout, PayoutTree} from "./PayoutTree.sol";
import {Signing} from "./Signing.sol";

/// @title What clients have put down for their deals
/// @notice What was spent leaves in one sum when the distributor funds a checkpoint. A withdrawal
/// is asked for first, and paid only from an active checkpoint whose base has seen the request:
/// from then on nothing more can be charged to what was asked back, and all that was charged before
/// is in the checkpoint's total. An account names the one key whose deals its deposit pays for. No
/// precompile verifies Ed25519: the key's signature travels in the event, and followers take the
/// first naming of an account, and of a key, that has a good one.
contract Deposits is LogCount {
    using CheckpointContainer for bytes;
    using SafeERC20 for IERC20;

    event Deposited(address indexed account, uint256 amount, uint256 total);
    event WithdrawalRequested(address indexed account, uint256 amount, uint64 blockNumber);
    event Withdrawn(address indexed account, uint256 amount);
    /// `signature` is the key's, of account and key; it is not verified here.
    event KeyNamed(address indexed account, bytes32 key, bytes32[2] signature);
    /// Not counted: it is in no account.
    event Collected(uint256 amount);

    error NotDistributor(address sender);
    error NothingRequested(address account);
    error AboveDeposit(uint256 most, uint256 wanted);
    error OtherCheckpoint(bytes32 expected, bytes32 found);
    error BaseTooOld(uint64 requested, uint64 base);
    error OtherAccount(address expected, address found);
    error NotInPayouts();
    error NotAbsent(address account);
    error NothingLeft(address account);

    struct Account {
        /// Base units put down and not withdrawn; what was spent of it is in the checkpoints.
        uint128 deposited;
        /// Asked back.
        uint128 requested;
        /// Block of the request.
        uint64 requestedAt;
    }

    /// A leaf with its siblings: 32 levels and the list's length.
    struct Proof {
        Payout payout;
        bytes32[] path;
    }

    IERC20 public immutable token;
    Checkpoints public immutable checkpoints;
    address public immutable distributor;

    mapping(address account => Account) public accounts;

    constructor(IERC20 token_, Checkpoints checkpoints_, address distributor_) {
        token = token_;
        checkpoints = checkpoints_;
        distributor = distributor_;
    }

    /// Adds to an account's deposit, out of the sender's tokens.
    function deposit(address account, uint256 amount) external {
        uint128 total = accounts[account].deposited + SafeCast.toUint128(amount);
        accounts[account].deposited = total;
        logCount++;
        emit Deposited(account, amount, total);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// Names the Ed25519 key whose deals the sender's deposit pays for. Only the first good naming
    /// counts: a provider relies on it as long as its deals last.
    function nameKey(bytes32 key, bytes32[2] calldata signature) external {
        logCount++;
        emit KeyNamed(msg.sender, key, signature);
    }

    /// Asks for base units of the sender's deposit. A new request takes the place of the last one.
    function requestWithdrawal(uint128 amount) external {
        Account storage account = accounts[msg.sender];
        if (amount > account.deposited) revert AboveDeposit(account.deposited, amount);
        account.requested = amount;
        account.requestedAt = uint64(block.number);
        logCount++;
        emit WithdrawalRequested(msg.sender, amount, uint64(block.number));
    }

    /// Pays a request of an account that a checkpoint's payouts have. Anyone may ask.
    /// @param checkpoint SSZ bytes of an active checkpoint with a base at the request or later
    function withdraw(address account, bytes calldata checkpoint, Proof calldata proof) external {
        if (proof.payout.account != account) revert OtherAccount(account, proof.payout.account);
        _checkCheckpoint(account, checkpoint);
        _checkProof(checkpoint.payouts(), proof);
        _pay(account, proof.payout.spent);
    }

    /// Pays a request of an account that has neither earned nor spent anything yet.
    /// @param around the leaves before and after where the account would stand: one of them where
    /// it would be first or last, none of an empty list
    function withdrawUnspent(address account, bytes calldata checkpoint, Proof[] calldata around)
        external
    {
        _checkCheckpoint(account, checkpoint);
        _checkAbsence(account, checkpoint.payouts(), around);
        _pay(account, 0);
    }

    /// Moves what was spent to the distributor.
    function collect(uint256 amount) external {
        if (msg.sender != distributor) revert NotDistributor(msg.sender);
        emit Collected(amount);
        token.safeTransfer(msg.sender, amount);
    }

    function _checkCheckpoint(address account, bytes calldata checkpoint) private view {
        Account storage entry = accounts[account];
        if (entry.requested == 0) revert NothingRequested(account);
        bytes32 root = checkpoint.checkedRoot();
        bytes32 active = checkpoints.activeRootOf(checkpoint.epoch());
        if (root != active) revert OtherCheckpoint(active, root);
        uint64 base = checkpoint.baseNumber();
        if (base < entry.requestedAt) revert BaseTooOld(entry.requestedAt, base);
    }

    function _checkProof(bytes32 payouts, Proof calldata proof) private view {
        uint256 depth = PayoutTree.DEPTH;
        if (proof.path.length != depth + 1 || proof.payout.index >= _length(proof)) {
            revert NotInPayouts();
        }
        bytes32 node = PayoutTree.climb(
            PayoutTree.leaf(proof.payout), proof.payout.index, proof.path[:depth]
        );
        if (PayoutTree.hashPair(node, proof.path[depth]) != payouts) revert NotInPayouts();
    }

    function _checkAbsence(address account, bytes32 payouts, Proof[] calldata around) private view {
        uint256 count = around.length;
        for (uint256 i = 0; i < count; ++i) _checkProof(payouts, around[i]);
        bool absent;
        if (count == 0) {
            absent = payouts == PayoutTree.listRoot(0, 0);
        } else if (count == 1) {
            Payout calldata only = around[0].payout;
            absent = account < only.account
                ? only.index == 0
                : account > only.account && uint256(only.index) + 1 == _length(around[0]);
        } else if (count == 2) {
            Payout calldata left = around[0].payout;
            Payout calldata right = around[1].payout;
            absent = left.account < account && account < right.account
                && uint256(left.index) + 1 == right.index;
        }
        if (!absent) revert NotAbsent(account);
    }

    function _pay(address account, uint128 spent) private {
        Account storage entry = accounts[account];
        uint128 deposited = entry.deposited;
        if (spent >= deposited) revert NothingLeft(account);
        uint128 amount = deposited - spent;
        if (entry.requested < amount) amount = entry.requested;
        entry.deposited = deposited - amount;
        entry.requested = 0;
        logCount++;
        emit Withdrawn(account, amount);
        token.safeTransfer(account, amount);
    }

    function _length(Proof calldata proof) private pure returns (uint64) {
        return Signing.littleEndian(uint64(bytes8(proof.path[PayoutTree.DEPTH])));
    }
}
