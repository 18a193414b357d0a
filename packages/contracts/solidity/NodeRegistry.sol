// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Bls12381} from "./Bls12381.sol";
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
/// signature travels in the event, and followers leave out a node whose signature is wrong.
contract NodeRegistry {
    using Bls12381 for bytes32[4];
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

    struct Node {
        address operator;
        /// Seconds of the request; 0: none.
        uint64 exitAt;
        address payout;
        uint96 bond;
    }

    IERC20 public immutable token;
    /// Base units that all active nodes of one operator, and each node, have bonded at least.
    uint256 public immutable operatorMinimum;
    uint256 public immutable nodeMinimum;
    /// Seconds from the request of an exit to the bond's return.
    uint256 public immutable exitDelay;

    uint32 public count;
    /// Events emitted so far. Who reads the logs compares, and sees that an endpoint left one out.
    uint32 public logCount;

    mapping(uint32 index => Node) public nodes;
    /// Bonds of an operator's nodes without a requested exit.
    mapping(address operator => uint256) public bonded;
    /// By keccak256 of the voting key's 128 bytes: node index plus one. A key that was ever used
    /// stays used.
    mapping(bytes32 keyHash => uint32) public indexOfVoting;
    /// By keccak256 of identity key and operator. Since anyone can name an identity key without
    /// holding it, a key is taken from its operator only: followers, who see the signatures, leave
    /// out every entry whose identity an earlier entry with a good signature has.
    mapping(bytes32 claim => bool) public identityUsed;

    constructor(
        IERC20 token_,
        uint256 operatorMinimum_,
        uint256 nodeMinimum_,
        uint256 exitDelay_
    ) {
        token = token_;
        operatorMinimum = operatorMinimum_;
        nodeMinimum = nodeMinimum_;
        exitDelay = exitDelay_;
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
        _checkPlace(registration);
        count = index + 1;
        logCount++;
        nodes[index] = Node({
            operator: msg.sender,
            exitAt: 0,
            payout: registration.payout,
            bond: SafeCast.toUint96(registration.bond)
        });
        _takeBond(registration.bond);
        emit Registered(index, msg.sender, registration, voting, identitySignature);
    }

    /// Takes the node out of the active set; its bond returns after `exitDelay`.
    function requestExit(uint32 index) external {
        Node storage node = _own(index);
        if (node.exitAt != 0) revert ExitAlreadyRequested(index);
        uint256 left = bonded[msg.sender] - node.bond;
        if (left != 0 && left < operatorMinimum) revert OperatorBondTooLow(operatorMinimum, left);
        bonded[msg.sender] = left;
        node.exitAt = uint64(block.timestamp);
        logCount++;
        emit ExitRequested(index, uint64(block.timestamp));
    }

    /// Returns the bond of a node that has left.
    function withdraw(uint32 index) external {
        Node storage node = _own(index);
        if (node.exitAt == 0) revert ExitNotDue(index, type(uint256).max);
        uint256 due = node.exitAt + exitDelay;
        if (block.timestamp < due) revert ExitNotDue(index, due);
        uint256 bond = node.bond;
        if (bond == 0) revert AlreadyWithdrawn(index);
        node.bond = 0;
        logCount++;
        emit Withdrawn(index, bond);
        token.safeTransfer(msg.sender, bond);
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

    function _checkPlace(Registration calldata registration) private pure {
        if (registration.payout == address(0)) revert ZeroPayout();
        uint64 cell = registration.cell;
        if (cell == 0) return;
        // H3: mode 1 (cell) in bits 59-62, resolution in bits 52-55, bits 56-58 and 63 zero.
        uint64 head = cell >> 52;
        if (head != 0x8c && head != 0x8a) revert BadCell(cell);
    }

    function _takeBond(uint256 bond) private {
        if (bond < nodeMinimum) revert NodeBondTooLow(nodeMinimum, bond);
        uint256 total = bonded[msg.sender] + bond;
        if (total < operatorMinimum) revert OperatorBondTooLow(operatorMinimum, total);
        bonded[msg.sender] = total;
        token.safeTransferFrom(msg.sender, address(this), bond);
    }

    function _own(uint32 index) private view returns (Node storage node) {
        node = nodes[index];
        if (node.operator != msg.sender) revert NotOperator(index, msg.sender);
    }
}
