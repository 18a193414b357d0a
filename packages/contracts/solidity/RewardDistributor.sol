// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {CairnToken} from "./CairnToken.sol";
import {CheckpointContainer} from "./CheckpointContainer.sol";
import {Checkpoints} from "./Checkpoints.sol";
import {Deposits} from "./Deposits.sol";
import {NodeRegistry} from "./NodeRegistry.sol";
import {Parameters} from "./Parameters.sol";
import {Payout, PayoutTree} from "./PayoutTree.sol";

/// @title Pays what checkpoints say accounts have earned
/// @notice A checkpoint that is active on `Checkpoints` is funded here once, by anyone: the fees of
/// its epochs come out of `Deposits`, their burned part is destroyed, and what is still missing is
/// minted, never more than the emission of those epochs. From then on each account can be paid the
/// difference between its total and what it was paid. Totals only grow, so a claim may wait for
/// years, and a later checkpoint makes up for any that was left out.
contract RewardDistributor {
    using CheckpointContainer for bytes;
    using SafeERC20 for IERC20;

    event Funded(uint64 indexed epoch, uint256 minted, uint256 fees, uint256 burned);
    /// A claim that became bond. Any other is the token's `Transfer` from here to the account.
    event Bonded(address indexed account, uint32 indexed node, uint256 amount);

    error EpochFunded(uint64 last, uint64 found);
    error OtherCheckpoint(bytes32 expected, bytes32 found);
    error OtherPayouts(bytes32 expected, bytes32 found);
    error TotalsFell();
    error AboveEmission(uint256 most, uint256 wanted);
    error Insolvent(uint256 owed, uint256 held);
    error NotFunded(uint64 epoch);
    error NothingDue(address account);
    error OutflowLimit();
    error NotOwner(address account, address sender);
    error TooMany(uint256 most, uint256 found);

    /// What was paid out, and the bucket that bounds it: one word.
    struct Outflow {
        /// Base units so far.
        uint128 claimed;
        /// Base units that could be paid out then, and when that was.
        uint88 room;
        uint40 since;
    }

    /// Checkpoints whose payouts can be claimed from: as many as `Checkpoints` keeps.
    uint64 public constant KEPT = 256;
    /// Claims in one call: 64 later ones fit into a transaction of 2^24 gas with ease.
    uint256 public constant BATCH_MAX = 64;
    /// Seconds in which a used-up outflow is there again whole.
    uint256 public constant OUTFLOW_WINDOW = 1 days;
    /// The burn is rounded per fee off chain and per epoch here: the difference is below one base
    /// unit for each fee, and an epoch has fewer fees than this.
    uint256 public constant ROUNDING = 2 ** 32;

    uint256 private constant PPM = 1_000_000;
    uint64 private constant GENESIS_EPOCH = type(uint64).max;
    /// Parameters: base units minted at most for an epoch, and parts per million of every fee.
    bytes32 private constant EMISSION = "emission";
    bytes32 private constant FEE_BURN = "feeBurn";

    CairnToken public immutable token;
    Checkpoints public immutable checkpoints;
    Deposits public immutable deposits;
    NodeRegistry public immutable registry;
    Parameters public immutable parameters;
    /// Base units paid out at most at once, and within `OUTFLOW_WINDOW` of steady claims.
    uint256 public immutable outflowMax;

    /// Totals of the last checkpoint funded.
    uint128 public earnedTotal;
    uint128 public spentTotal;

    Outflow private _outflow;

    /// Epoch of the last checkpoint funded, 2^64 - 1 before the first; and the block of its base.
    uint64 public lastEpoch = GENESIS_EPOCH;
    uint64 public lastBase;

    mapping(address account => uint256) public claimed;
    /// By epoch mod `KEPT`: keccak256(epoch, levels, trunk).
    bytes32[KEPT] private _trunks;

    constructor(
        CairnToken token_,
        Checkpoints checkpoints_,
        Deposits deposits_,
        NodeRegistry registry_,
        Parameters parameters_,
        uint88 outflowMax_
    ) {
        token = token_;
        checkpoints = checkpoints_;
        deposits = deposits_;
        registry = registry_;
        parameters = parameters_;
        outflowMax = outflowMax_;
        _outflow = Outflow(0, outflowMax_, uint40(block.timestamp));
        IERC20(token_).forceApprove(address(registry_), type(uint256).max);
    }

    /// Funds an active checkpoint: its claims are open from here on. Epochs may be left out.
    /// @param checkpoint SSZ bytes of the container
    /// @param trunk node of its payouts' tree above all leaves, below the spine
    /// @param length number of its payouts
    function fund(bytes calldata checkpoint, bytes32 trunk, uint32 length) external {
        bytes32 root = checkpoint.checkedRoot();
        uint64 epoch = checkpoint.epoch();
        uint64 last = lastEpoch;
        uint256 epochs;
        unchecked {
            epochs = uint64(epoch - last);
        }
        if (last != GENESIS_EPOCH && epoch <= last) revert EpochFunded(last, epoch);
        bytes32 active = checkpoints.activeRootOf(epoch);
        if (root != active) revert OtherCheckpoint(active, root);
        bytes32 payouts = PayoutTree.listRoot(trunk, length);
        if (payouts != checkpoint.payouts()) revert OtherPayouts(checkpoint.payouts(), payouts);

        (uint256 minted, uint256 fees, uint256 burned) = _balance(checkpoint, epochs);
        earnedTotal = checkpoint.earnedTotal();
        spentTotal = checkpoint.spentTotal();
        lastEpoch = epoch;
        lastBase = checkpoint.baseNumber();
        _trunks[epoch % KEPT] = _word(epoch, PayoutTree.levelsOf(length), trunk);
        emit Funded(epoch, minted, fees, burned);

        if (fees != 0) deposits.collect(fees);
        if (burned != 0) token.burn(burned);
        if (minted != 0) token.mint(address(this), minted);
        uint256 owed = uint256(earnedTotal) - _outflow.claimed;
        uint256 held = token.balanceOf(address(this));
        if (held < owed) revert Insolvent(owed, held);
    }

    /// Pays an account what it has earned beyond what it was paid, whoever asks for it. When the
    /// outflow is used up it pays what is left of it.
    /// @param path siblings of the account's leaf up to the trunk
    function claim(uint64 epoch, Payout calldata payout, bytes32[] calldata path)
        external
        returns (uint256 amount)
    {
        amount = _settle(epoch, payout, path);
        if (amount == 0) revert NothingDue(payout.account);
        IERC20(token).safeTransfer(payout.account, amount);
    }

    /// Pays many accounts; those with nothing due are passed over.
    function claimMany(uint64 epoch, Payout[] calldata payouts, bytes32[][] calldata paths)
        external
        returns (uint256 total)
    {
        if (payouts.length > BATCH_MAX) revert TooMany(BATCH_MAX, payouts.length);
        for (uint256 i = 0; i < payouts.length; ++i) {
            uint256 amount = _settle(epoch, payouts[i], paths[i]);
            total += amount;
            if (amount != 0) IERC20(token).safeTransfer(payouts[i].account, amount);
        }
    }

    /// Adds what the sender has earned to the bond of a node.
    function claimAndBond(
        uint64 epoch,
        Payout calldata payout,
        bytes32[] calldata path,
        uint32 node
    ) external returns (uint256 amount) {
        if (payout.account != msg.sender) revert NotOwner(payout.account, msg.sender);
        amount = _settle(epoch, payout, path);
        if (amount == 0) revert NothingDue(payout.account);
        emit Bonded(msg.sender, node, amount);
        registry.addBond(node, amount);
    }

    /// Base units that can be paid out now.
    function outflowLeft() external view returns (uint256) {
        return _room(_outflow);
    }

    /// Base units paid out so far.
    function claimedTotal() external view returns (uint128) {
        return _outflow.claimed;
    }

    /// What becomes of the difference to the last totals: never more than the emission is minted,
    /// and always minted + fees - burned = earned. Emission and burn are those of the checkpoint's
    /// base, as nodes have settled by. Where epochs were left out and a vote lies between, it is the
    /// highest emission and the lowest burn of the time: what is minted less what is burned is the
    /// same with any.
    function _balance(bytes calldata checkpoint, uint256 epochs)
        private
        view
        returns (uint256 minted, uint256 fees, uint256 burned)
    {
        (uint128 earnedNow, uint128 spentNow) =
            (checkpoint.earnedTotal(), checkpoint.spentTotal());
        if (earnedNow < earnedTotal || spentNow < spentTotal) revert TotalsFell();
        uint64 base = checkpoint.baseNumber();
        uint64 from = epochs == 1 ? base : lastBase;
        uint256 earned = earnedNow - earnedTotal;
        fees = spentNow - spentTotal;
        (uint256 feeBurn,) = parameters.rangeOf(FEE_BURN, from, base);
        burned = fees * feeBurn / PPM;
        if (earned < fees - burned) return (0, fees, fees - earned);
        minted = earned - (fees - burned);
        (, uint256 most) = parameters.rangeOf(EMISSION, from, base);
        most *= epochs;
        if (minted <= most) return (minted, fees, burned);
        uint256 excess = minted - most;
        if (excess > burned || excess > ROUNDING * epochs) revert AboveEmission(most, minted);
        return (most, fees, burned - excess);
    }

    /// Books what the account is due, as far as the outflow allows; the caller pays it.
    function _settle(uint64 epoch, Payout calldata payout, bytes32[] calldata path)
        private
        returns (uint256 amount)
    {
        bytes32 node = PayoutTree.climb(PayoutTree.leaf(payout), payout.index, path);
        if (_word(epoch, path.length, node) != _trunks[epoch % KEPT]) revert NotFunded(epoch);
        address account = payout.account;
        uint256 before = claimed[account];
        if (payout.earned <= before) return 0;
        amount = payout.earned - before;
        Outflow memory outflow = _outflow;
        uint256 room = _room(outflow);
        if (room == 0) revert OutflowLimit();
        if (amount > room) amount = room;
        // The room fits since `outflowMax` does.
        _outflow = Outflow(
            outflow.claimed + uint128(amount), uint88(room - amount), uint40(block.timestamp)
        );
        claimed[account] = before + amount;
    }

    function _room(Outflow memory outflow) private view returns (uint256) {
        uint256 refilled = outflow.room + outflowMax * (block.timestamp - outflow.since) / OUTFLOW_WINDOW;
        return refilled < outflowMax ? refilled : outflowMax;
    }

    function _word(uint64 epoch, uint256 levels, bytes32 trunk) private pure returns (bytes32) {
        return keccak256(abi.encode(epoch, levels, trunk));
    }
}
