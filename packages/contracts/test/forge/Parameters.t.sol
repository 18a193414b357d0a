// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Access} from "../../solidity/Access.sol";
import {Parameter, Parameters} from "../../solidity/Parameters.sol";
import {Test} from "./Vm.sol";

/// @title Who sets parameters at random, and remembers what was in force at which block
contract Voter is Test {
    bytes32 public constant SHARE = "share";
    uint256 public constant PERIOD = 60;

    Parameters public immutable parameters;
    uint256[] public valueIn;
    uint256 public highestStep;
    uint256 public changes;
    uint256 private _lastChange;
    bool public tooSoon;

    constructor() {
        Parameter[] memory list = new Parameter[](1);
        list[0] = Parameter(SHARE, 500, 100, 900, 70);
        parameters = new Parameters(address(new Access(address(this))), PERIOD, list);
        for (uint256 i = 0; i <= block.number; ++i) valueIn.push(500);
    }

    function set(uint256 value) external {
        value = bounded(value, 0, 1100);
        uint256 before = parameters.get(SHARE);
        try parameters.set(SHARE, value) {
            uint256 step = value > before ? value - before : before - value;
            if (step > highestStep) highestStep = step;
            if (changes != 0 && block.timestamp < _lastChange + PERIOD) tooSoon = true;
            _lastChange = block.timestamp;
            ++changes;
            valueIn[block.number] = value;
        } catch {}
    }

    function later(uint8 time) external {
        vm.warp(block.timestamp + time);
        vm.roll(block.number + 1);
        valueIn.push(valueIn[block.number - 1]);
    }

    function blocks() external view returns (uint256) {
        return valueIn.length;
    }
}

contract ParametersTest is Test {
    bytes32 private constant SHARE = "share";

    Parameters private parameters;
    Voter private voter;

    function setUp() public {
        Parameter[] memory list = new Parameter[](1);
        list[0] = Parameter(SHARE, 500, 100, 900, 70);
        parameters = new Parameters(address(new Access(address(this))), 60, list);
        voter = new Voter();
        target(address(voter));
    }

    function testFuzz_takesAValueWithinBoundsAndStep(uint256 value) public {
        value = bounded(value, 430, 570);
        parameters.set(SHARE, value);
        assertEqual("value", value, parameters.get(SHARE));
        assertEqual("initial", 500, parameters.initial(SHARE));
        assertEqual("logs", 1, parameters.logCount());
    }

    function testFuzz_refusesAStepThatIsTooLong(uint256 value) public {
        value = bounded(value, 100, 900);
        uint256 step = value > 500 ? value - 500 : 500 - value;
        vm.assume(step > 70);
        vm.expectRevert(abi.encodeWithSelector(Parameters.AboveStep.selector, SHARE, 70, step));
        parameters.set(SHARE, value);
    }

    function test_refusesAStepThatIsOneTooLong() public {
        vm.expectRevert(abi.encodeWithSelector(Parameters.AboveStep.selector, SHARE, 70, 71));
        parameters.set(SHARE, 571);
    }

    function testFuzz_refusesAValueOutOfBounds(uint256 value) public {
        vm.assume(value < 100 || value > 900);
        vm.expectRevert(
            abi.encodeWithSelector(Parameters.OutOfBounds.selector, SHARE, 100, 900, value)
        );
        parameters.set(SHARE, value);
    }

    function test_refusesTwoStepsAtOnce() public {
        parameters.set(SHARE, 570);
        vm.expectRevert(
            abi.encodeWithSelector(Parameters.TooSoon.selector, SHARE, block.timestamp + 60)
        );
        parameters.set(SHARE, 640);
        vm.warp(block.timestamp + 59);
        vm.expectRevert();
        parameters.set(SHARE, 640);
        vm.warp(block.timestamp + 1);
        parameters.set(SHARE, 640);
        assertEqual("value", 640, parameters.get(SHARE));
    }

    function testFuzz_refusesAStranger(address sender, uint256 value) public {
        vm.assume(sender != address(this));
        bytes memory refusal =
            abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, sender);
        vm.prank(sender);
        vm.expectRevert(refusal);
        parameters.set(SHARE, value);
        vm.prank(sender);
        vm.expectRevert(refusal);
        parameters.add(Parameter("other", 1, 1, 1, 1));
    }

    function test_refusesANameThatThereIsNot() public {
        bytes memory unknown = abi.encodeWithSelector(
            Parameters.UnknownParameter.selector, bytes32("shar")
        );
        vm.expectRevert(unknown);
        parameters.set("shar", 500);
        vm.expectRevert(unknown);
        parameters.get("shar");
        vm.expectRevert(unknown);
        parameters.initial("shar");
        vm.expectRevert(unknown);
        parameters.rangeOf("shar", 0, 1);
    }

    function test_addsAParameterOnceAndNeverMovesItsBounds() public {
        vm.roll(7);
        parameters.add(Parameter("weight.3", 1, 1, 1000, 10));
        assertEqual("value", 1, parameters.get("weight.3"));
        assertEqual("logs", 2, parameters.logCount());
        (, uint256 before) = parameters.rangeOf("weight.3", 6, 6);
        assertEqual("before it was added", 0, before);
        vm.expectRevert(
            abi.encodeWithSelector(Parameters.ParameterExists.selector, bytes32("weight.3"))
        );
        parameters.add(Parameter("weight.3", 1, 1, 5000, 5000));
        vm.expectRevert(abi.encodeWithSelector(Parameters.ParameterExists.selector, SHARE));
        parameters.add(Parameter(SHARE, 500, 0, 5000, 5000));
        assertEqual("names", 2, parameters.names().length);
    }

    function testFuzz_refusesToAddWhatIsOutOfItsOwnBounds(Parameter memory wrong) public {
        vm.assume(wrong.name != SHARE);
        vm.assume(
            wrong.name == 0 || wrong.least > wrong.most || wrong.value < wrong.least
                || wrong.value > wrong.most
        );
        vm.expectRevert();
        parameters.add(wrong);
    }

    function test_refusesBoundsThatNoStorageHolds() public {
        vm.expectRevert();
        parameters.add(Parameter("wide", 1, 0, uint256(type(uint128).max) + 1, 1));
    }

    function testFuzz_givesTheRangeOfATime(uint8[6] memory steps, uint8 from, uint8 to) public {
        uint256[] memory values = new uint256[](32);
        uint256 now_ = 1;
        for (uint256 i = 0; i < 32; ++i) values[i] = 500;
        for (uint256 i = 0; i < 6; ++i) {
            now_ += bounded(steps[i], 1, 5);
            vm.roll(now_);
            vm.warp(block.timestamp + 60);
            uint256 value = parameters.get(SHARE);
            value = bounded(uint256(steps[i]) * 4, value - 60, value + 60);
            value = bounded(value, 200, 800);
            uint256 old = parameters.get(SHARE);
            if (value + 70 < old || value > old + 70) continue;
            parameters.set(SHARE, value);
            for (uint256 j = now_; j < 32; ++j) values[j] = value;
        }
        uint256 first = bounded(from, 0, 31);
        uint256 last = bounded(to, 0, 31);
        (uint256 low, uint256 high) = parameters.rangeOf(SHARE, first, last);
        uint256 lowest = values[last];
        uint256 highest = values[last];
        for (uint256 i = first; i < last; ++i) {
            if (values[i] < lowest) lowest = values[i];
            if (values[i] > highest) highest = values[i];
        }
        assertEqual("lowest", lowest, low);
        assertEqual("highest", highest, high);
    }

    function invariant_noStepIsLongerThanAllowedNorSoonerThanItsPeriod() public view {
        assertTrue("step", voter.highestStep() <= 70);
        assertTrue("period", !voter.tooSoon());
    }

    function invariant_everyBlockKeepsItsValue() public view {
        Parameters held = voter.parameters();
        uint256 count = voter.blocks();
        for (uint256 i = 0; i < count; ++i) {
            (uint256 low, uint256 high) = held.rangeOf(SHARE, i, i);
            assertEqual("value", voter.valueIn(i), low);
            assertTrue("bounds", low >= 100 && high <= 900 && low == high);
        }
        assertEqual("logs", voter.changes(), held.logCount());
    }
}
