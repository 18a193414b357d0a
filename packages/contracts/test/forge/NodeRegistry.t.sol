// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {NodeRegistry} from "../../solidity/NodeRegistry.sol";
import {Network} from "./Network.sol";

/// @title Operators who register, add to bonds, leave and come for their money at random
contract Operators is Network {
    uint256 private constant NODES_MAX = 8;

    uint256 public bonds;
    uint32 private _nodes;

    constructor() {
        deployAll();
        token.approve(address(registry), type(uint256).max);
    }

    function register(uint96 bond) external {
        if (_nodes == NODES_MAX) return;
        bond = uint96(bounded(bond, 1000 ether, 20_000 ether));
        registerNode(_nodes++, bond);
        bonds += bond;
    }

    function addBond(uint32 index, uint96 amount) external {
        amount = uint96(bounded(amount, 0, 5000 ether));
        registry.addBond(index % (_nodes + 1), amount);
        bonds += amount;
    }

    function requestExit(uint32 index) external {
        registry.requestExit(index % (_nodes + 1));
    }

    function withdraw(uint32 index) external {
        uint256 before = token.balanceOf(address(this));
        registry.withdraw(index % (_nodes + 1));
        bonds -= token.balanceOf(address(this)) - before;
    }

    /// As the slasher does, which proves it first.
    function slash(uint32 index, uint96 amount) external {
        index %= _nodes + 1;
        (,,,, uint96 bond,,,,,,) = registry.nodes(index);
        amount = uint96(bounded(amount, 0, bond));
        vm.prank(address(slasher));
        registry.slash(index, amount, address(0xbeef), amount / 4);
        bonds -= amount;
    }

    function later(uint8 time) external {
        vm.warp(block.timestamp + time);
        vm.roll(block.number + 1);
    }

    function nodeCount() external view returns (uint32) {
        return _nodes;
    }
}

contract NodeRegistryTest is Network {
    Operators private operators;

    function setUp() public {
        operators = new Operators();
        target(address(operators));
    }

    function invariant_holdsTheBonds() public view {
        uint256 held = operators.token().balanceOf(address(operators.registry()));
        assertEqual("held", operators.bonds(), held);
        uint256 sum;
        for (uint32 i = 0; i < operators.nodeCount(); ++i) sum += bondOf(i);
        assertEqual("sum", operators.bonds(), sum);
        assertEqual("total", operators.bonds(), operators.registry().totalBond());
    }

    function invariant_weighsWhoHasNotAskedToLeave() public view {
        NodeRegistry registry_ = operators.registry();
        uint256 weight;
        uint256 bonded;
        for (uint32 i = 0; i < operators.nodeCount(); ++i) {
            (, uint64 exitAt,,,,,,,,,) = registry_.nodes(i);
            if (exitAt != 0) continue;
            weight += registry_.weightOf(bondOf(i));
            bonded += bondOf(i);
        }
        assertEqual("weight", weight, registry_.totalWeight());
        assertEqual("bonded", bonded, registry_.bonded(address(operators)));
    }

    function invariant_remembersThePresentBond() public view {
        for (uint32 i = 0; i < operators.nodeCount(); ++i) {
            assertEqual("bond", bondOf(i), operators.registry().bondAt(i, block.number));
        }
    }

    function testFuzz_remembersBondsByBlock(uint96 first, uint96 more, uint16 between) public {
        deployAll();
        token.approve(address(registry), type(uint256).max);
        first = uint96(bounded(first, 1000 ether, 100_000 ether));
        more = uint96(bounded(more, 1, 100_000 ether));
        vm.roll(100);
        uint32 index = registerNode(9, first);
        uint256 changed = 100 + bounded(between, 1, 1000);
        vm.roll(changed);
        registry.addBond(index, more);
        assertEqual("before", 0, registry.bondAt(index, 99));
        assertEqual("registered", first, registry.bondAt(index, 100));
        assertEqual("unchanged", first, registry.bondAt(index, changed - 1));
        assertEqual("changed", uint256(first) + more, registry.bondAt(index, changed));
    }

    function testFuzz_letsWhomAPenaltyTookBelowTheMinimumLeaveNodeByNode(uint96 taken) public {
        start(400 ether, 3);
        // 1,200 are bonded: of one node more than 200 makes it less than the minimum.
        taken = uint96(bounded(taken, 200 ether + 1, 400 ether));
        vm.prank(address(slasher));
        registry.slash(1, taken, address(0xbeef), 0);
        registry.requestExit(0);
        registry.requestExit(2);
        registry.requestExit(1);
        assertEqual("bonded", 0, registry.bonded(address(this)));
        assertEqual("weight", 0, registry.totalWeight());
        vm.warp(block.timestamp + 72);
        uint256 before = token.balanceOf(address(this));
        registry.withdraw(0);
        assertEqual("returned", 400 ether, token.balanceOf(address(this)) - before);
    }

    function testFuzz_leavesNoOperatorWithLessThanTheMinimum(uint96 taken) public {
        start(400 ether, 3);
        taken = uint96(bounded(taken, 0, 200 ether));
        vm.prank(address(slasher));
        registry.slash(1, taken, address(0xbeef), 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                NodeRegistry.OperatorBondTooLow.selector, 1000 ether, 800 ether - taken
            )
        );
        registry.requestExit(0);
    }

    function test_letsNodesLeaveTogetherOfWhichNoneCouldAlone() public {
        start(400 ether, 3);
        uint32[] memory two = new uint32[](2);
        (two[0], two[1]) = (0, 2);
        vm.expectRevert(
            abi.encodeWithSelector(
                NodeRegistry.OperatorBondTooLow.selector, 1000 ether, 400 ether
            )
        );
        registry.requestExits(two);
        uint32[] memory all = new uint32[](3);
        (all[0], all[1], all[2]) = (0, 2, 0);
        vm.expectRevert(abi.encodeWithSelector(NodeRegistry.ExitAlreadyRequested.selector, 0));
        registry.requestExits(all);
        all[2] = 1;
        vm.expectRevert(
            abi.encodeWithSelector(NodeRegistry.NotOperator.selector, 0, address(0xbad))
        );
        vm.prank(address(0xbad));
        registry.requestExits(all);
        registry.requestExits(all);
        assertEqual("bonded", 0, registry.bonded(address(this)));
        assertEqual("weight", 0, registry.totalWeight());
    }

    /// Registers nodes of one operator with the same bond, the first with the operator's minimum
    /// until the others are there.
    function start(uint96 bond, uint32 nodes) private {
        deployAll();
        token.approve(address(registry), type(uint256).max);
        registerNode(0, 1000 ether);
        for (uint32 i = 1; i < nodes; ++i) registerNode(i, bond);
        vm.prank(address(slasher));
        registry.slash(0, 1000 ether - bond, address(0xbeef), 0);
    }

    function bondOf(uint32 index) private view returns (uint256) {
        (,,,, uint96 bond,,,,,,) = operators.registry().nodes(index);
        return bond;
    }
}
