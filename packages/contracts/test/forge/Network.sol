// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Access} from "../../solidity/Access.sol";
import {Bls12381} from "../../solidity/Bls12381.sol";
import {CairnToken} from "../../solidity/CairnToken.sol";
import {CheckpointContainer} from "../../solidity/CheckpointContainer.sol";
import {Checkpoints} from "../../solidity/Checkpoints.sol";
import {Absent, Committee} from "../../solidity/CommitteeWord.sol";
import {Deposits} from "../../solidity/Deposits.sol";
import {NodeRegistry, Registration} from "../../solidity/NodeRegistry.sol";
import {Parameter, Parameters} from "../../solidity/Parameters.sol";
import {Payout} from "../../solidity/PayoutTree.sol";
import {RewardDistributor} from "../../solidity/RewardDistributor.sol";
import {Slasher} from "../../solidity/Slasher.sol";
import {BlsSigner} from "./BlsSigner.sol";
import {PayoutList} from "./PayoutList.sol";
import {Test} from "./Vm.sol";

/// @notice What a checkpoint of these tests says; the rest of it is empty.
struct Draft {
    uint64 epoch;
    uint64 baseNumber;
    bytes32 parent;
    bytes32 payouts;
    bytes32 penalties;
    uint128 earnedTotal;
    uint128 spentTotal;
    bytes32 nextCommittee;
}

/// @title All contracts, deployed and started, with a committee of one whose key is known
abstract contract Network is Test {
    using PayoutList for Payout[];

    uint256 internal constant EMISSION = 1000 ether;
    uint256 internal constant FEE_BURN = 100_000;
    uint88 internal constant OUTFLOW_MAX = 1_000_000 ether;
    uint256 internal constant SECRET = 0x5ec3e7;
    /// Seconds between two changes of one parameter.
    uint256 internal constant PERIOD = 60;
    uint64 internal constant GENESIS_EPOCH = type(uint64).max;

    CairnToken public token;
    NodeRegistry public registry;
    Checkpoints public checkpoints;
    RewardDistributor public distributor;
    Deposits public deposits;
    Access public access;
    Slasher public slasher;
    Parameters public parameters;
    Committee internal committee;
    Checkpoints.Settings internal settings = Checkpoints.Settings({
        activationDelay: 0,
        fallbackAfter: 1000,
        fallbackWindow: 300,
        fallbackDelay: 500,
        termEpochs: 4,
        home: 0
    });

    function deployAll() internal {
        uint256 nonce = vm.getNonce(address(this));
        address depositsAt = vm.computeCreateAddress(address(this), nonce + 4);
        token = new CairnToken(1_000_000_000 ether, 100_000_000 ether);
        registry = new NodeRegistry(
            token,
            1000 ether,
            100 ether,
            72,
            10_000 ether,
            Parameters(vm.computeCreateAddress(address(this), nonce + 7)),
            vm.computeCreateAddress(address(this), nonce + 6)
        );
        checkpoints = new Checkpoints(
            vm.computeCreateAddress(address(this), nonce + 5), registry, settings
        );
        distributor = new RewardDistributor(
            token,
            checkpoints,
            Deposits(depositsAt),
            registry,
            registry.parameters(),
            OUTFLOW_MAX
        );
        deposits = new Deposits(token, checkpoints, address(distributor));
        assert(address(deposits) == depositsAt);
        access = new Access(address(this));
        assert(checkpoints.authority() == address(access));
        slasher = new Slasher(registry, checkpoints, registry.parameters());
        assert(registry.slasher() == address(slasher));
        parameters = new Parameters(address(access), PERIOD, founding());
        assert(registry.parameters() == parameters);
        token.setMinter(address(distributor));
        token.approve(address(deposits), type(uint256).max);

        bytes32[4] memory key = BlsSigner.publicKey(SECRET);
        committee = Committee({
            count: 1,
            weight: 1000,
            key: key,
            members: keccak256(abi.encode(key, uint256(1000)))
        });
        Draft memory draft;
        draft.epoch = GENESIS_EPOCH;
        draft.nextCommittee = word();
        draft.payouts = new Payout[](0).root();
        checkpoints.start(uint64(block.timestamp + 1), word(), encode(draft));
    }

    /// Parameters as deployed here: those that contracts read.
    function founding() internal pure returns (Parameter[] memory list) {
        list = new Parameter[](6);
        list[0] = Parameter("emission", EMISSION, EMISSION / 100, EMISSION, EMISSION / 4);
        list[1] = Parameter("feeBurn", FEE_BURN, 10_000, 500_000, 50_000);
        list[2] = Parameter("penalty", 100_000, 10_000, 500_000, 50_000);
        list[3] = Parameter("penaltyCap", 20_000, 1_000, 200_000, 10_000);
        list[4] = Parameter("reporterShare", 250_000, 0, 500_000, 50_000);
        list[5] = Parameter("placeFee", 10 ether, 0, 1000 ether, 10 ether);
    }

    function registerNode(uint32 number, uint96 bond) internal returns (uint32) {
        Registration memory registration;
        registration.payout = address(this);
        registration.identity = keccak256(abi.encode(number));
        registration.voting = BlsSigner.publicKey(secretOf(number));
        registration.bond = bond;
        bytes32 root = registry.possessionRoot(
            registration.identity, Bls12381.compress(registration.voting), address(this)
        );
        bytes32[8] memory possession = BlsSigner.sign(secretOf(number), root);
        bytes32[2] memory identitySignature;
        return registry.register(registration, possession, identitySignature);
    }

    function secretOf(uint32 number) internal pure returns (uint256) {
        return 1000 + number;
    }

    function word() internal view returns (bytes32) {
        return keccak256(abi.encode(committee));
    }

    /// Lands a checkpoint after the last one, with this committee again; fills in what is missing.
    function land(Draft memory draft) internal returns (bytes memory checkpoint) {
        draft.epoch = nextEpoch();
        unchecked {
            draft.parent = checkpoints.rootOf(draft.epoch - 1);
        }
        if (draft.nextCommittee == 0) draft.nextCommittee = word();
        checkpoint = encode(draft);
        submit(checkpoint, draft.epoch, 0);
    }

    function submit(bytes memory checkpoint, uint64 epoch, uint64 round) internal {
        bytes32 message = checkpoints.voteSigningRoot(
            checkpoints.genesis(), epoch, round, this.rootOfContainer(checkpoint)
        );
        Absent memory absent;
        checkpoints.submit(
            checkpoint, round, committee, absent, BlsSigner.sign(SECRET, message)
        );
    }

    function nextEpoch() internal view returns (uint64 epoch) {
        unchecked {
            epoch = checkpoints.lastEpoch() + 1;
        }
    }

    function rootOfContainer(bytes calldata checkpoint) external view returns (bytes32) {
        return CheckpointContainer.hashTreeRoot(checkpoint);
    }

    function encode(Draft memory draft) internal pure returns (bytes memory) {
        bytes memory head = abi.encodePacked(
            le64(draft.epoch), le64(draft.baseNumber), bytes32(0), draft.parent, bytes32(0)
        );
        bytes memory roots =
            abi.encodePacked(bytes32(0), draft.payouts, draft.penalties, bytes32(0), new bytes(160));
        return abi.encodePacked(
            head,
            roots,
            PayoutList.le(draft.earnedTotal),
            PayoutList.le(draft.spentTotal),
            draft.nextCommittee,
            bytes4(0x01000000)
        );
    }

    function le64(uint64 value) internal pure returns (bytes8) {
        return bytes8(PayoutList.le(value));
    }
}
