// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {NexusSplitter} from "contracts/NexusSplitter.sol";

/// Takes no coin.
contract RefusingPayee {
    error NoThanks();

    receive() external payable {
        revert NoThanks();
    }
}

/// Burns all the gas that it gets.
contract GreedyPayee {
    uint256 public count;

    receive() external payable {
        while (true) ++count;
    }
}

/// Asks for more while it is being paid.
contract ReenteringPayee {
    uint256 public attempts;
    bool public isInsisting = true;

    function calm() external {
        isInsisting = false;
    }

    receive() external payable {
        if (!isInsisting) return;
        ++attempts;
        NexusSplitter(payable(msg.sender)).release(payable(address(this)));
    }
}

/// Tries the same and swallows the refusal.
contract StealthyPayee {
    uint256 public refusals;

    receive() external payable {
        try NexusSplitter(payable(msg.sender)).release(payable(address(this))) {} catch {
            ++refusals;
        }
    }
}

/// Takes tokens, refuses them in three ways.
contract Receiver {
    enum Mood {
        Taking,
        Refusing,
        Wrong
    }

    Mood public mood;

    error NotThisOne();

    constructor(Mood mood_) {
        mood = mood_;
    }

    function onERC721Received(address, address, uint256, bytes calldata) external view returns (bytes4) {
        if (mood == Mood.Refusing) revert NotThisOne();
        return mood == Mood.Taking ? this.onERC721Received.selector : bytes4(0xdeadbeef);
    }
}

/// Does what a proposal asks, or does not.
contract Target {
    uint256 public value;

    error NotToday(uint256 value);

    function set(uint256 value_) external payable {
        value = value_;
    }

    function fail(uint256 value_) external pure {
        revert NotToday(value_);
    }
}
