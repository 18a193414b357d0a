// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints as History} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Bls12381} from "./Bls12381.sol";
import {CairnToken} from "./CairnToken.sol";
import {H3} from "./H3.sol";
import {LogCount} from "./LogCount.sol";
import {Parameters} from "./Parameters.sol";
import {Signing} from "./Signing.sol";

/// @notice What an operator says of a node.
struct Registration {
    /// Account that the node's rewards go to.
    address payout;
    /// Ed25519 identity key.
    bytes32 identity;
    /// BLS12-381 voting key, a G1 point as EIP-2537 lays it out.
    bytes32[4] voting;
    /// H3 cell of resolution 12 or 10; 0: none asserted.
    uint64 cell;
    /// Code of the regional plan, and sub-band.
    uint16 region;
    uint8 subBand;
    /// Antenna gain less cable loss, 0.1 dBi.
    int16 gain;
    /// Bit k set: offers proof kind k.
    uint32 kinds;
    /// End of the gateway's nonce chain.
    bytes32 nonceEnd;
    /// Base units, pulled from the operator.
    uint256 bond;
}

/// @title The nodes of a network, their keys and their bonds
/// @notice The voting key proves its possession here. No precompile verifies Ed25519: that
/// signature travels in the event, and followers leave out a node whose signature is wrong. An
/// operator does several things in one transaction by `multicall`, `permit` before what takes tokens
/// among them; no call takes ether, so none is counted twice.
contract NodeRegistry is LogCount, Multicall {
    using Bls12381 for bytes32[4];
    using History for History.Trace208;
    using SafeERC20 for IERC20;

    event Registered(
        uint32 indexed index,
        address indexed operator,
        Registration registration,
        bytes voting,
        bytes32[2] identitySignature
    );
    event ExitRequested(uint32 indexed index, uint64 exitAt);
    event Withdrawn(uint32 indexed index, uint256 bond);
    event BondChanged(uint32 indexed index, uint256 bond);
    event PlaceChanged(
        uint32 indexed index, uint64 cell, uint16 region, uint8 subBand, int16 gain
    );
    event PayoutChanged(uint32 indexed index, address payout);
    event KindsChanged(uint32 indexed index, uint32 kinds);

    error Infinity();
    error BadPossession();
    error KeyUsed();
    error ZeroIdentity();
    error ZeroPayout();
    error BadCell(uint64 cell);
    error NodeBondTooLow(uint256 minimum, uint256 found);
    error OperatorBondTooLow(uint256 minimum, uint256 found);
    error NotOperator(uint32 index, address sender);
    error ExitAlreadyRequested(uint32 index);
    error ExitNotDue(uint32 index, uint256 due);
    error AlreadyWithdrawn(uint32 index);
    error NoNode(uint32 index);
    error Leaving(uint32 index);
    error NotSlasher(address sender);
    error LongPage(uint256 most, uint256 found);

    struct Node {
        address operator;
        /// Seconds of the request; 0: none.
        uint64 exitAt;
        /// Block of the registration.
        uint32 registeredIn;
        address payout;
        uint96 bond;
        uint64 cell;
        uint16 region;
        uint8 subBand;
        int16 gain;
        uint32 kinds;
        /// The highest bond so far.
        uint96 peak;
    }

    /// Nodes given out at once.
    uint256 public constant PAGE_MAX = 256;
    /// Base units of one unit of weight.
    uint256 public constant WEIGHT_UNIT = 1e18;
    /// Parameter: base units that a change of place costs; they are burned.
    bytes32 private constant PLACE_FEE = "placeFee";

    CairnToken public immutable token;
    /// Base units that all active nodes of one operator, and each node, have bonded at least.
    uint256 public immutable operatorMinimum;
    uint256 public immutable nodeMinimum;
    /// Seconds from the request of an exit to the bond's return.
    uint256 public immutable exitDelay;
    /// Base units beyond which a bond gives no more weight.
    uint256 public immutable weightCap;
    Parameters public immutable parameters;
    /// Takes from bonds what is proven.
    address public immutable slasher;

    uint32 public count;
    /// Weight of all nodes without a requested exit.
    uint64 public totalWeight;
    /// Base units of all bonds, also of nodes that leave.
    uint128 public totalBond;

    mapping(uint32 index => Node) public nodes;
    /// Bonds of an operator's nodes without a requested exit, by time in seconds: its votes.
    mapping(address operator => History.Trace208) private _bonded;
    /// By keccak256 of the voting key's 128 bytes: node index plus one. A key that was ever used
    /// stays used.
    mapping(bytes32 keyHash => uint32) public indexOfVoting;
    /// By keccak256 of identity key and operator. Since anyone can name an identity key without
    /// holding it, a key is taken from its operator only: followers, who see the signatures, leave
    /// out every entry whose identity an earlier entry with a good signature has.
    mapping(bytes32 claim => bool) public identityUsed;
    /// A node's bond by block, from its first change on.
    mapping(uint32 index => History.Trace208) private _bonds;

    constructor(
        CairnToken token_,
        uint256 operatorMinimum_,
        uint256 nodeMinimum_,
        uint256 exitDelay_,
        uint256 weightCap_,
        Parameters parameters_,
        address slasher_
    ) {
        slasher = slasher_;
        weightCap = weightCap_;
        parameters = parameters_;
        token = token_;
        operatorMinimum = operatorMinimum_;
        nodeMinimum = nodeMinimum_;
        exitDelay = exitDelay_;
    }

    /// Lets this contract take so much of the sender's tokens, by the sender's signature (ERC-2612).
    /// Anybody can hand in that signature first; then it has its effect already, and whatever takes
    /// the tokens says whether that is enough.
    function permit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        try token.permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
    }

    /// Registers a node of the sender and takes its bond.
    /// @param possession BLS signature of `possessionRoot`, a G2 point
    /// @param identitySignature Ed25519 signature of the same statement in the registration domain
    function register(
        Registration calldata registration,
        bytes32[8] calldata possession,
        bytes32[2] calldata identitySignature
    ) external returns (uint32 index) {
        index = count;
        bytes32[4] memory key = registration.voting;
        _claimKeys(registration.identity, keccak256(abi.encode(key)), index + 1);
        if (key.isInfinity()) revert Infinity();
        bytes memory voting = key.compress();
        if (!key.verify(possessionRoot(registration.identity, voting, msg.sender), possession)) {
            revert BadPossession();
        }
        if (registration.payout == address(0)) revert ZeroPayout();
        _checkCell(registration.cell);
        count = index + 1;
        logCount++;
        totalWeight += uint64(weightOf(registration.bond));
        totalBond += SafeCast.toUint96(registration.bond);
        nodes[index] = Node({
            operator: msg.sender,
            exitAt: 0,
            registeredIn: SafeCast.toUint32(block.number),
            payout: registration.payout,
            bond: SafeCast.toUint96(registration.bond),
            cell: registration.cell,
            region: registration.region,
            subBand: registration.subBand,
            gain: registration.gain,
            kinds: registration.kinds,
            peak: SafeCast.toUint96(registration.bond)
        });
        _takeBond(registration.bond);
        emit Registered(index, msg.sender, registration, voting, identitySignature);
    }

    /// Adds to a node's bond, out of the sender's tokens.
    function addBond(uint32 index, uint256 amount) external {
        Node storage node = nodes[index];
        if (node.operator == address(0)) revert NoNode(index);
        if (node.exitAt != 0) revert Leaving(index);
        _setBonded(node.operator, bonded(node.operator) + amount);
        _setBond(index, node, node.bond + amount);
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// Takes from a bond, as long as it is here: a part for the reporter, the rest is burned.
    function slash(uint32 index, uint256 amount, address reporter, uint256 share) external {
        if (msg.sender != slasher) revert NotSlasher(msg.sender);
        Node storage node = nodes[index];
        if (node.operator == address(0)) revert NoNode(index);
        uint256 bond = node.bond - amount;
        if (node.exitAt == 0) _setBonded(node.operator, bonded(node.operator) - amount);
        _setBond(index, node, bond);
        IERC20(token).safeTransfer(reporter, share);
        token.burn(amount - share);
    }

    /// Moves a node's antenna, for a fee that is burned.
    function changePlace(uint32 index, uint64 cell, uint16 region, uint8 subBand, int16 gain)
        external
    {
        Node storage node = _own(index);
        if (node.exitAt != 0) revert Leaving(index);
        _checkCell(cell);
        node.cell = cell;
        node.region = region;
        node.subBand = subBand;
        node.gain = gain;
        logCount++;
        emit PlaceChanged(index, cell, region, subBand, gain);
        uint256 fee = parameters.get(PLACE_FEE);
        IERC20(token).safeTransferFrom(msg.sender, address(this), fee);
        token.burn(fee);
    }

    /// Sends a node's rewards elsewhere, from the epochs on whose base holds this; also while it leaves.
    function changePayout(uint32 index, address payout) external {
        Node storage node = _own(index);
        if (payout == address(0)) revert ZeroPayout();
        node.payout = payout;
        logCount++;
        emit PayoutChanged(index, payout);
    }

    /// Changes what a node offers; what it is bound to by deals stays.
    function changeKinds(uint32 index, uint32 kinds) external {
        Node storage node = _own(index);
        if (node.exitAt != 0) revert Leaving(index);
        node.kinds = kinds;
        logCount++;
        emit KindsChanged(index, kinds);
    }

    /// Takes the node out of the active set; its bond returns after `exitDelay`.
    function requestExit(uint32 index) external {
        uint256 before = bonded(msg.sender);
        _leave(index);
        _checkLeft(before);
    }

    /// Takes nodes out of the active set at once: what is left need be enough only after the last.
    function requestExits(uint32[] calldata indices) external {
        uint256 before = bonded(msg.sender);
        for (uint256 i = 0; i < indices.length; ++i) _leave(indices[i]);
        _checkLeft(before);
    }

    /// Returns the bond of a node that has left.
    function withdraw(uint32 index) external {
        Node storage node = _own(index);
        if (node.exitAt == 0) revert ExitNotDue(index, type(uint256).max);
        uint256 due = node.exitAt + exitDelay;
        if (block.timestamp < due) revert ExitNotDue(index, due);
        uint256 bond = node.bond;
        if (bond == 0) revert AlreadyWithdrawn(index);
        _record(index, node, 0);
        logCount++;
        emit Withdrawn(index, bond);
        IERC20(token).safeTransfer(msg.sender, bond);
    }

    /// Nodes from an index on, at most `PAGE_MAX`; fewer at the end.
    function page(uint32 from, uint256 length) external view returns (Node[] memory found) {
        if (length > PAGE_MAX) revert LongPage(PAGE_MAX, length);
        uint256 left = from < count ? count - from : 0;
        found = new Node[](length < left ? length : left);
        for (uint32 i = 0; i < found.length; ++i) found[i] = nodes[from + i];
    }

    /// The cell of a coarser resolution that a node's cell is in; 0 of a node without one.
    function parentOf(uint32 index, uint256 resolution) external view returns (uint64) {
        uint64 cell = nodes[index].cell;
        return cell == 0 ? 0 : H3.parent(cell, resolution);
    }

    /// A node's bond at the end of a past block; 0 before its registration.
    function bondAt(uint32 index, uint256 blockNumber) external view returns (uint256) {
        Node storage node = nodes[index];
        if (node.operator == address(0) || blockNumber < node.registeredIn) return 0;
        // Who signs a checkpoint may name any number as its base's: a veto of it must not fail on that.
        if (_bonds[index].length() == 0 || blockNumber > type(uint48).max) return node.bond;
        return _bonds[index].upperLookupRecent(uint48(blockNumber));
    }

    /// What an operator had bonded at a past time, in seconds since 1970; it votes with so much.
    function bondedAt(address operator, uint256 time) external view returns (uint256) {
        return _bonded[operator].upperLookupRecent(SafeCast.toUint48(time));
    }

    /// Bonds of an operator's nodes without a requested exit.
    function bonded(address operator) public view returns (uint256) {
        return _bonded[operator].latest();
    }

    /// Weight in committees: whole units of the bond, capped.
    function weightOf(uint256 bond) public view returns (uint256) {
        return (bond < weightCap ? bond : weightCap) / WEIGHT_UNIT;
    }

    /// What the voting key signs to prove its possession: both keys and the operator, in a domain
    /// whose network is `registrationNetwork`, since a network's id is fixed only after its first
    /// nodes have registered.
    function possessionRoot(bytes32 identity, bytes memory voting, address operator)
        public
        view
        returns (bytes32)
    {
        bytes32 statement = sha256(abi.encodePacked(identity, voting, operator));
        return Signing.signingRoot(Signing.POSSESSION, registrationNetwork(), statement);
    }

    /// sha256(SSZ{chain id, address of this contract}).
    function registrationNetwork() public view returns (bytes32) {
        return sha256(abi.encodePacked(Signing.littleEndian(uint64(block.chainid)), address(this)));
    }

    function _claimKeys(bytes32 identity, bytes32 votingHash, uint32 mark) private {
        if (identity == 0) revert ZeroIdentity();
        bytes32 claim = keccak256(abi.encodePacked(identity, msg.sender));
        if (identityUsed[claim] || indexOfVoting[votingHash] != 0) revert KeyUsed();
        identityUsed[claim] = true;
        indexOfVoting[votingHash] = mark;
    }

    /// No cell, or one of resolution 12 or 10.
    function _checkCell(uint64 cell) private pure {
        if (cell == 0) return;
        uint256 resolution = H3.resolution(cell);
        if ((resolution != 12 && resolution != 10) || !H3.isCell(cell)) revert BadCell(cell);
    }

    function _setBond(uint32 index, Node storage node, uint256 bond) private {
        if (node.exitAt == 0) {
            totalWeight = totalWeight - uint64(weightOf(node.bond)) + uint64(weightOf(bond));
        }
        _record(index, node, bond);
        logCount++;
        emit BondChanged(index, bond);
    }

    function _record(uint32 index, Node storage node, uint256 bond) private {
        History.Trace208 storage trace = _bonds[index];
        if (trace.length() == 0) trace.push(node.registeredIn, node.bond);
        trace.push(SafeCast.toUint48(block.number), uint208(bond));
        totalBond = totalBond - node.bond + uint128(bond);
        node.bond = SafeCast.toUint96(bond);
        if (bond > node.peak) node.peak = uint96(bond);
    }

    function _leave(uint32 index) private {
        Node storage node = _own(index);
        if (node.exitAt != 0) revert ExitAlreadyRequested(index);
        _setBonded(msg.sender, bonded(msg.sender) - node.bond);
        node.exitAt = uint64(block.timestamp);
        totalWeight -= uint64(weightOf(node.bond));
        logCount++;
        emit ExitRequested(index, uint64(block.timestamp));
    }

    /// Nothing, or the minimum. Whom a penalty took below it leaves with one node after the other
    /// all the same.
    function _checkLeft(uint256 before) private view {
        uint256 left = bonded(msg.sender);
        if (left != 0 && left < operatorMinimum && before >= operatorMinimum) {
            revert OperatorBondTooLow(operatorMinimum, left);
        }
    }

    function _setBonded(address operator, uint256 amount) private {
        _bonded[operator].push(SafeCast.toUint48(block.timestamp), SafeCast.toUint208(amount));
    }

    function _takeBond(uint256 bond) private {
        if (bond < nodeMinimum) revert NodeBondTooLow(nodeMinimum, bond);
        uint256 total = bonded(msg.sender) + bond;
        if (total < operatorMinimum) revert OperatorBondTooLow(operatorMinimum, total);
        _setBonded(msg.sender, total);
        IERC20(token).safeTransferFrom(msg.sender, address(this), bond);
    }

    function _own(uint32 index) private view returns (Node storage node) {
        node = nodes[index];
        if (node.operator != msg.sender) revert NotOperator(index, msg.sender);
    }
}
