/** The libraries' functions, which no deployed contract shows, as calls. */
import { compile, compilerInput } from '@cairn/contracts/compile'

const SOURCE = `// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Bls12381} from "./Bls12381.sol";
import {CheckpointContainer} from "./CheckpointContainer.sol";
import {Absent, Committee, CommitteeWord} from "./CommitteeWord.sol";
import {H3} from "./H3.sol";
import {Payout, PayoutTree} from "./PayoutTree.sol";

contract Harness {
    function hashToG2(bytes32 message) external view returns (bytes32[8] memory) {
        return Bls12381.hashToG2(message);
    }

    function compress(bytes32[4] memory point) external pure returns (bytes memory) {
        return Bls12381.compress(point);
    }

    function hashTreeRoot(bytes calldata checkpoint) external view returns (bytes32) {
        return CheckpointContainer.hashTreeRoot(checkpoint);
    }

    function word(Committee calldata committee) external pure returns (bytes32) {
        return CommitteeWord.word(committee);
    }

    function present(Committee calldata committee, Absent calldata absent)
        external
        view
        returns (bytes32[4] memory key, uint256 weight)
    {
        return CommitteeWord.present(committee, absent);
    }

    function isCell(uint64 cell) external pure returns (bool) {
        return H3.isCell(cell);
    }

    function parent(uint64 cell, uint256 resolution) external pure returns (uint64) {
        return H3.parent(cell, resolution);
    }

    function payoutLeaf(Payout calldata payout) external view returns (bytes32) {
        return PayoutTree.leaf(payout);
    }

    function climb(bytes32 leaf, uint256 index, bytes32[] calldata path)
        external
        view
        returns (bytes32)
    {
        return PayoutTree.climb(leaf, index, path);
    }

    function payoutsRoot(bytes32 trunk, uint32 length) external view returns (bytes32) {
        return PayoutTree.listRoot(trunk, length);
    }
}
`

export function compileHarness() {
  const [artifact] = compile(compilerInput({ 'Harness.sol': SOURCE }), ['Harness'])
  if (artifact === undefined) throw new Error('the harness did not compile')
  return artifact
}
